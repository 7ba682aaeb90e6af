"""What constraints cannot say: published is for good, and decisions are history."""

from django.db import migrations

GUARDS = """
-- A published version may only be retired; a draft may be edited and published.
CREATE FUNCTION nurture_guard_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'version % is published and stays', OLD.id
            USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.status = 'retired' AND NEW.status <> 'retired' OR NEW.status = 'draft'
       OR to_jsonb(NEW) - 'status' <> to_jsonb(OLD) - 'status' THEN
        RAISE EXCEPTION 'version % is published and does not change', OLD.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER nurture_guard_version BEFORE UPDATE OR DELETE ON nurture_sequenceversion
    FOR EACH ROW WHEN (OLD.status <> 'draft') EXECUTE FUNCTION nurture_guard_version();

-- What belongs to a published version does not change either.
CREATE FUNCTION nurture_guard_part() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE touched bigint := CASE WHEN TG_OP = 'INSERT' THEN NEW.version_id ELSE OLD.version_id END;
BEGIN
    IF EXISTS (SELECT FROM nurture_sequenceversion v
               WHERE v.id = touched AND v.status <> 'draft') THEN
        RAISE EXCEPTION 'version % is published and does not change', touched
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER nurture_guard_step BEFORE INSERT OR UPDATE OR DELETE ON nurture_messages
    FOR EACH ROW EXECUTE FUNCTION nurture_guard_part();
CREATE TRIGGER nurture_guard_trigger BEFORE INSERT OR UPDATE OR DELETE ON attendance_triggers
    FOR EACH ROW EXECUTE FUNCTION nurture_guard_part();

-- Decisions are history. What they point at may vanish (SET NULL); rows go by retention only.
CREATE FUNCTION nurture_guard_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'decision % is history and does not change', OLD.id
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER nurture_guard_decision BEFORE UPDATE ON nurture_decision
    FOR EACH ROW WHEN (
        (OLD.code, OLD.step_key, OLD.inputs, OLD.decided_at)
        IS DISTINCT FROM (NEW.code, NEW.step_key, NEW.inputs, NEW.decided_at)
    ) EXECUTE FUNCTION nurture_guard_decision();
"""

UNDO = """
DROP TRIGGER nurture_guard_version ON nurture_sequenceversion;
DROP FUNCTION nurture_guard_version();
DROP TRIGGER nurture_guard_step ON nurture_messages;
DROP TRIGGER nurture_guard_trigger ON attendance_triggers;
DROP FUNCTION nurture_guard_part();
DROP TRIGGER nurture_guard_decision ON nurture_decision;
DROP FUNCTION nurture_guard_decision();
"""


class Migration(migrations.Migration):
    dependencies = [("nurture", "0001_initial")]

    operations = [migrations.RunSQL(GUARDS, UNDO)]
