from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('delivery', '0014_trace'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='delivery',
            name='delivery_chat_order',
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['chat', 'due_at', 'priority', 'id'], include=('lane', 'stream', 'run_at'), name='delivery_chat_order'),
        ),
    ]
