"""The one change that a decision may see: what it was based on is erased."""

from django.db import migrations

GUARD = """
CREATE OR REPLACE FUNCTION nurture_guard_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.inputs = '{}'::jsonb AND (OLD.code, OLD.step_key, OLD.decided_at)
       IS NOT DISTINCT FROM (NEW.code, NEW.step_key, NEW.decided_at) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'decision % is history and does not change', OLD.id
        USING ERRCODE = 'check_violation';
END $$;
"""
BEFORE = """
CREATE OR REPLACE FUNCTION nurture_guard_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'decision % is history and does not change', OLD.id
        USING ERRCODE = 'check_violation';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("nurture", "0007_bot_texts")]

    operations = [migrations.RunSQL(GUARD, BEFORE)]
