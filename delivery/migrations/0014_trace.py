from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('delivery', '0011_work_queues'),
    ]

    operations = [
        migrations.AddField(
            model_name='delivery',
            name='trace',
            field=models.CharField(blank=True, db_default='', default='', max_length=55),
        ),
    ]
