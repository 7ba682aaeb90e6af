from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('attendance', '0008_sealed_names'),
    ]

    operations = [
        migrations.AddField(
            model_name='attendanceevent',
            name='trace',
            field=models.CharField(blank=True, db_default='', default='', max_length=55),
        ),
    ]
