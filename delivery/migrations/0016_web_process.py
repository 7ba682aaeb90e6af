from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('delivery', '0015_overtaking'),
    ]

    operations = [
        migrations.AlterField(
            model_name='heartbeat',
            name='name',
            field=models.CharField(choices=[('clock', 'clock (manage.py runclock)'), ('worker', 'worker (manage.py rundramatiq)'), ('poller', 'poller (manage.py runbot)'), ('web', 'web (gunicorn; seen when it answers)')], max_length=10),
        ),
    ]
