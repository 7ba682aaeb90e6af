"""What the admin calls classes and readings, and the index of the list of classes."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("attendance", "0006_ask_before")]

    operations = [
        migrations.AlterModelOptions(
            name="classsession",
            options={"verbose_name": "class", "verbose_name_plural": "classes"},
        ),
        migrations.AlterModelOptions(
            name="syncrun",
            options={
                "verbose_name": "reading of Google",
                "verbose_name_plural": "readings of Google",
            },
        ),
        migrations.AddIndex(
            model_name="classsession",
            index=models.Index(fields=["starts_at", "id"], name="attendance_session_listed"),
        ),
    ]
