"""What the tables cannot say as constraints: the clock, the windows, and legal changes only.

The transitions are those of delivery/domain/states.py; a test compares the two.
"""

from django.db import migrations

CLOCK = """
-- The business clock: the database's own, or a moment that this session simulates
-- (delivery/clock.py, ENVIRONMENT=local only). Call it as (SELECT telbot_now()) in a WHERE:
-- bare, it is volatile and would be evaluated for every row, past every index.
CREATE FUNCTION telbot_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT coalesce(
        nullif(current_setting('telbot.now', true), '')::timestamptz, clock_timestamp())
$$;
"""

WINDOW = """
-- Whether a window is open at a moment. A window that crosses midnight belongs to the day on which
-- it opened; equal ends mean the whole day; no window is always open. Bit 0 of days is Monday.
CREATE FUNCTION telbot_window_open(
    at timestamptz, opens time, closes time, days integer, zone text
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN opens IS NULL THEN true
        WHEN opens < closes THEN
            (at AT TIME ZONE zone)::time >= opens AND (at AT TIME ZONE zone)::time < closes
            AND (days >> (extract(isodow FROM at AT TIME ZONE zone)::int - 1)) & 1 = 1
        WHEN (at AT TIME ZONE zone)::time >= opens THEN
            (days >> (extract(isodow FROM at AT TIME ZONE zone)::int - 1)) & 1 = 1
        WHEN (at AT TIME ZONE zone)::time < closes THEN
            (days >> ((extract(isodow FROM at AT TIME ZONE zone)::int + 5) % 7)) & 1 = 1
        ELSE false
    END
$$;
"""

LEGAL_CHANGES = """
CREATE FUNCTION delivery_guard_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (CASE OLD.status
        WHEN 'pending' THEN NEW.status IN ('leased', 'expired', 'cancelled', 'skipped', 'dead')
        WHEN 'leased' THEN NEW.status IN ('pending', 'sending', 'expired', 'cancelled', 'skipped', 'dead')
        WHEN 'sending' THEN NEW.status IN ('pending', 'sent', 'unknown', 'failed', 'expired', 'cancelled', 'dead')
        WHEN 'unknown' THEN NEW.status IN ('pending', 'sent', 'failed', 'cancelled')
        WHEN 'dead' THEN NEW.status IN ('pending')
        ELSE false END) THEN
        RAISE EXCEPTION 'delivery % may not go from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER delivery_guard_status BEFORE UPDATE OF status ON nurture_deliveries
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION delivery_guard_status();

CREATE FUNCTION delivery_guard_fence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the fence of delivery % may not fall', OLD.id
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER delivery_guard_fence BEFORE UPDATE OF fence ON nurture_deliveries
    FOR EACH ROW WHEN (NEW.fence < OLD.fence) EXECUTE FUNCTION delivery_guard_fence();

-- A closed attempt is history. One exception: a late answer of the same try settles an unknown.
CREATE FUNCTION delivery_guard_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'attempt % is closed and does not change', OLD.id
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER delivery_guard_attempt BEFORE UPDATE ON delivery_attempt
    FOR EACH ROW WHEN (OLD.outcome NOT IN ('', 'unknown'))
    EXECUTE FUNCTION delivery_guard_attempt();
"""

# Rows change several times in their short life: leave room on the page, so that changes which touch
# no index stay there (HOT), and clean up early.
STORAGE = """
ALTER TABLE nurture_deliveries SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE delivery_chat SET (fillfactor = 80);
ALTER TABLE delivery_gate SET (fillfactor = 50, autovacuum_vacuum_threshold = 1000);
"""


class Migration(migrations.Migration):
    dependencies = [("delivery", "0001_initial")]

    operations = [
        migrations.RunSQL(CLOCK, "DROP FUNCTION telbot_now();"),
        migrations.RunSQL(
            WINDOW,
            "DROP FUNCTION telbot_window_open(timestamptz, time, time, integer, text);",
        ),
        migrations.RunSQL(
            LEGAL_CHANGES,
            """
            DROP TRIGGER delivery_guard_status ON nurture_deliveries;
            DROP FUNCTION delivery_guard_status();
            DROP TRIGGER delivery_guard_fence ON nurture_deliveries;
            DROP FUNCTION delivery_guard_fence();
            DROP TRIGGER delivery_guard_attempt ON delivery_attempt;
            DROP FUNCTION delivery_guard_attempt();
            """,
        ),
        migrations.RunSQL(
            STORAGE,
            """
            ALTER TABLE nurture_deliveries RESET (fillfactor, autovacuum_vacuum_scale_factor);
            ALTER TABLE delivery_chat RESET (fillfactor);
            ALTER TABLE delivery_gate RESET (fillfactor, autovacuum_vacuum_threshold);
            """,
        ),
    ]
