from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('nurture', '0016_spans_of_time'),
    ]

    operations = [
        migrations.AddField(
            model_name='journey',
            name='trace',
            field=models.CharField(blank=True, db_default='', default='', max_length=55),
        ),
    ]
