from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('attendance', '0007_class_pages'),
    ]

    operations = [
        migrations.AddField(
            model_name='attendanceevent',
            name='trace',
            field=models.CharField(blank=True, db_default='', default='', max_length=55),
        ),
    ]
