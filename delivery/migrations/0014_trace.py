from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('delivery', '0013_archive'),
    ]

    operations = [
        migrations.AddField(
            model_name='delivery',
            name='trace',
            field=models.CharField(blank=True, db_default='', default='', max_length=55),
        ),
    ]
