"""A chat that leaves, and the one change that a closed attempt may see: its words are erased."""

from django.db import migrations, models

GUARD = """
CREATE OR REPLACE FUNCTION delivery_guard_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.description = '' AND to_jsonb(NEW) - 'description' = to_jsonb(OLD) - 'description' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'attempt % is closed and does not change', OLD.id
        USING ERRCODE = 'check_violation';
END $$;
"""
BEFORE = """
CREATE OR REPLACE FUNCTION delivery_guard_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'attempt % is closed and does not change', OLD.id
        USING ERRCODE = 'check_violation';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("delivery", "0007_fewer_indexes")]

    operations = [
        migrations.AddField("chat", "leaving_at", models.DateTimeField(null=True, blank=True)),
        migrations.AddIndex(
            "chat",
            models.Index(
                fields=["leaving_at"],
                condition=models.Q(leaving_at__isnull=False),
                name="delivery_chat_leaving",
            ),
        ),
        migrations.RunSQL(GUARD, BEFORE),
    ]
