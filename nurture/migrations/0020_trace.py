from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('nurture', '0019_backup_runs'),
    ]

    operations = [
        migrations.AddField(
            model_name='journey',
            name='trace',
            field=models.CharField(blank=True, db_default='', default='', max_length=55),
        ),
    ]
