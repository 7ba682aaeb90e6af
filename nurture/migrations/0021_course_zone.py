import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def as_planned_until_now(apps, schema_editor):
    """What is planned already was planned by the zone of now; nothing has to be planned anew."""
    Course, CourseZone = (
        apps.get_model(*name) for name in (("attendance", "Course"), ("nurture", "CourseZone"))
    )
    CourseZone.objects.bulk_create(
        [
            CourseZone(course_id=pk, zone=zone or settings.TIME_ZONE)
            for pk, zone in Course.objects.values_list("pk", "time_zone")
        ],
        batch_size=1000,
    )


class Migration(migrations.Migration):

    dependencies = [
        ('attendance', '0009_trace'),
        ('nurture', '0020_trace'),
    ]

    operations = [
        migrations.CreateModel(
            name='CourseZone',
            fields=[
                ('course', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='planned_by', serialize=False, to='attendance.course')),
                ('zone', models.CharField(max_length=64)),
            ],
        ),
        migrations.RunPython(as_planned_until_now, migrations.RunPython.noop, elidable=True),
    ]
