"""A school with years behind it, put into the tables by the database itself: for the admin's bench.

Rows are made by INSERT … SELECT, with indexes built afterwards and without triggers, so a million
deliveries take seconds. They are such as the engine would leave; nothing here is meant to be sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import connection

from attendance.models import AttendancePolicy, Course
from config.sealed import stock
from nurture.services import sequences

BUNDLED = Path(__file__).resolve().parent.parent.parent / "nurture" / "sequences"
NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
#: The first learner has been here from the beginning: so many deliveries are hers.
OF_ROSA = 500
ROSA = "l1@crowd.example"
#: What everything is a part of; the numbers of rows follow from it.
_COURSES, CLASSES_OF_COURSE, OUTCOMES_OF_LEARNER = range(1, 21), 60, 10


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """So many learners with so many journeys and deliveries, over a year up to NOW."""

    learners: int
    journeys: int
    deliveries: int
    doubtful: int  # deliveries that cannot be known, and as many that were given up

    def part(self, of: int) -> Crowd:
        """The same, so many times smaller."""
        return Crowd(
            learners=self.learners // of,
            journeys=self.journeys // of,
            deliveries=self.deliveries // of,
            doubtful=self.doubtful,
        )


LARGE = Crowd(learners=20_000, journeys=100_000, deliveries=1_000_000, doubtful=1_000)
#: A thousand rows of each; no list is shorter than a page, however it is filtered.
SMALL = Crowd(learners=1_000, journeys=1_000, deliveries=1_000, doubtful=60)


def fill(crowd: Crowd, *, now: datetime = NOW) -> None:
    """Put the crowd into empty tables and analyse them. Call it once, in a database of its own."""
    for path in sorted(BUNDLED.glob("*.yaml")):
        found = sequences.import_sequence(source=path.read_text(encoding="utf-8"), now=now)
        sequences.publish(sequence=found.sequence, now=now)
    for course in Course.objects.bulk_create(
        Course(pk=n, calendar_id=f"c{n}@crowd.example", title=f"Course {n}") for n in _COURSES
    ):
        AttendancePolicy.objects.create(pk=course.pk, course=course)
    values: dict[str, Any] = {
        "now": now, "learners": crowd.learners, "journeys": crowd.journeys,
        "deliveries": crowd.deliveries, "apart": crowd.deliveries // crowd.doubtful,
        "courses": len(_COURSES), "classes": CLASSES_OF_COURSE,
        "outcomes": OUTCOMES_OF_LEARNER, "of_rosa": OF_ROSA,
    }  # fmt: skip
    with connection.cursor() as cursor, _without_indexes(list(_ROWS)):
        for table, statement in _ROWS.items():
            cursor.execute(f"INSERT INTO {table} {statement}", values)
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
            )
    for column in stock.columns():
        if column.table == "attendance_learner":
            stock.carry_over(column)  # so that they are found by name
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if connection.in_atomic_block else "VACUUM ANALYZE")


@contextmanager
def _without_indexes(tables: list[str]) -> Iterator[None]:
    """For the block: no index but those of constraints, and no triggers. Then all are back."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.schemaname = 'public'"
            " AND i.tablename = ANY(%s)"
            " AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conname = i.indexname)",
            [tables],
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        cursor.execute("SET session_replication_role = replica")
        yield
        cursor.execute("SET session_replication_role = DEFAULT")
        for _, definition in indexes:
            cursor.execute(definition)


# A learner's number n gives all else: course n % courses, chat n, contact n. Journey j is of
# learner j % learners, delivery d of learner d % learners and journey d % journeys.
_ROWS = {
    "attendance_learner": """
        (id, email, email_key, name_words, name, created_at)
        SELECT n, 'l' || n || '@crowd.example', 'l' || n || '@crowd.example', '{}',
               'plain:' || (ARRAY['Rosa', 'Amir', 'Lena', 'Tomo', 'Zoe'])[1 + (n + 4) %% 5] || ' '
               || (ARRAY['Maro', 'Lindt', 'Okafor', 'Sato', 'Diaz', 'Berg', 'Ito'])[1 + n %% 7]
               || ' ' || n, %(now)s - interval '400 days'
          FROM generate_series(1, %(learners)s) n""",
    "attendance_learneridentity": """
        (id, learner_id, kind, value_key, status, origin, created_at)
        SELECT n, n, 'email', 'l' || n || '@crowd.example', 'verified', 'import',
               %(now)s - interval '400 days' FROM generate_series(1, %(learners)s) n""",
    "attendance_enrolment": """
        (id, learner_id, course_id)
        SELECT n, n, 1 + n %% %(courses)s FROM generate_series(1, %(learners)s) n""",
    "attendance_classsession": """
        (id, course_id, event_id, recurring_event_id, starts_at, ends_at, title, meeting_code,
         meet_url, organizer_email, status, settled_at, changed_at)
        SELECT n, 1 + n %% %(courses)s, 'e' || n, '', at, at + interval '1 hour', 'Lesson ' || n,
               'abc-' || n, '', 'host@crowd.example',
               CASE WHEN at < %(now)s THEN 'settled' ELSE 'scheduled' END,
               CASE WHEN at < %(now)s THEN at + interval '4 hours' END, at - interval '9 days'
          FROM generate_series(1, %(courses)s * %(classes)s) n
         CROSS JOIN LATERAL (SELECT %(now)s + interval '14 days'
            - (n / %(courses)s) * interval '3 days' - (n %% 9) * interval '1 hour' AS at) t""",
    "attendance_conference": """
        (id, conference_id, meeting_code, organizer_email)
        SELECT n, 'k' || n, 'abc-' || n, 'host@crowd.example'
          FROM generate_series(1, %(courses)s * %(classes)s) n""",
    "attendance_conferencematch": """
        (id, conference_id, session_id, rule, confidence)
        SELECT n, n, n, 'event_id', 1 FROM generate_series(1, %(courses)s * %(classes)s) n""",
    # The newest classes of a learner's course, one after the other.
    "attendance_outcome": """
        (id, learner_id, session_id, revision, outcome, flags, present_seconds, share, effective,
         effective_at, is_current, origin, policy_id, reason, inputs, decided_at)
        SELECT n, l, s, 1, kind, '[]', CASE kind WHEN 'missed' THEN 0 ELSE 3000 END,
               CASE kind WHEN 'missed' THEN 0 ELSE 0.8 END, true, at, true,
               'engine', 1 + l %% %(courses)s,
               CASE kind WHEN 'missed' THEN 'not_seen' WHEN 'late' THEN 'joined_late'
                         WHEN 'left_early' THEN 'left_before_end' ELSE 'attended_enough' END,
               '{}', at
          FROM generate_series(0, %(learners)s * %(outcomes)s - 1) g
         CROSS JOIN LATERAL (SELECT g + 1 AS n, 1 + g %% %(learners)s AS l,
            g / %(learners)s AS k, %(now)s - (g / %(learners)s) * interval '3 days' AS at,
            (ARRAY['attended', 'attended', 'missed', 'late', 'attended', 'left_early'])[1 + g %% 6]
            AS kind) r
         CROSS JOIN LATERAL (SELECT (l %% %(courses)s) + (6 + k) * %(courses)s AS s) c""",
    "attendance_endpoint": """
        (id, conference_id, endpoint_id, calendar_event_id, started_at, ended_at, start_source,
         identifier, identifier_key, identifier_type, display_name, device_type, is_external, kind,
         identity_level, identity_rule, learner_id)
        SELECT o.id, o.session_id, 'd' || o.id, 'e' || o.session_id, o.decided_at,
               o.decided_at + interval '50 minutes', 'given', i.value_key, i.value_key,
               'email_address',               'Learner ' || o.learner_id,
               'web', false, 'human', 1, 'email', o.learner_id
          FROM attendance_outcome o JOIN attendance_learneridentity i ON i.id = o.learner_id""",
    "attendance_pledge": """
        (id, learner_id, session_id, state, asked_at, answered_at, source)
        SELECT n, 1 + n %% %(learners)s,
               ((1 + n %% %(learners)s) %% %(courses)s) + (5 + n / %(learners)s) * %(courses)s,
               (ARRAY['yes', 'no', 'kept', 'broken'])[1 + n %% 4], %(now)s - interval '2 days',
               %(now)s - interval '1 day', 'button'
          FROM generate_series(0, %(learners)s * 2 - 1) g
         CROSS JOIN LATERAL (SELECT g + 1 AS n) r WHERE g + 1 < %(learners)s * 2""",
    "attendance_reviewitem": """
        (id, kind, key, state, evidence, decision, decided_by, created_at, learner_id, session_id,
         course_id)
        SELECT n, 'dispute', 'crowd:' || n, 'open', '{}', '', '', %(now)s - interval '1 day',
               1 + n %% %(learners)s, 200, 1
          FROM generate_series(1, %(learners)s / 10) n""",
    "attendance_attendanceevent": """
        (id, kind, learner_id, session_id, key, streak, occurred_at, recorded_at, expires_at,
         processed_at)
        SELECT j, 'missed', 1 + j %% %(learners)s, 121 + j %% 1000, 'crowd:' || j, 1, at, at,
               at + interval '3 days', at
          FROM generate_series(1, %(journeys)s) j
         CROSS JOIN LATERAL (SELECT %(now)s - (%(journeys)s - j)
            * (interval '365 days' / %(journeys)s) AS at) t""",
    "delivery_chat": """
        (id, telegram_id, telegram_key, kind, reachability, reachability_changed_at)
        SELECT n, 'plain:' || 10000 + n, lpad(n::text, 32, '0')::uuid, 'private',
               CASE WHEN n %% 50 = 3 THEN 'blocked' ELSE 'ok' END,
               CASE WHEN n %% 50 = 3 THEN %(now)s - interval '9 days' END
          FROM generate_series(1, %(learners)s) n""",
    "delivery_consent": """
        (id, chat_id, category, granted, changed_at, source)
        SELECT n, n, '', n %% 40 <> 7, %(now)s - interval '300 days',
               CASE WHEN n %% 40 = 7 THEN 'stop' ELSE 'import' END
          FROM generate_series(1, %(learners)s) n""",
    "delivery_inboundupdate": """
        (id, update_id, chat_key, payload, received_at, handled_at, tries, error)
        SELECT n, n, lpad((n %% %(learners)s)::text, 32, '0')::uuid,
               'plain:{"message": {"text": "hi"}}',
               %(now)s - n * interval '5 minutes', %(now)s - n * interval '5 minutes', 1, ''
          FROM generate_series(1, %(journeys)s) n""",
    "nurture_contact": """
        (id, learner_id, chat_id, time_zone, language)
        SELECT n, n, n, (ARRAY['Europe/Berlin', 'America/Bogota', 'Asia/Kolkata', ''])[1 + n %% 4],
               'en' FROM generate_series(1, %(learners)s) n""",
    # Of a hundred: 6 wait, 24 ended unsent, the rest was sent, but for what is in doubt.
    "nurture_deliveries": """
        (id, chat_id, stream, lane, priority, category, dedupe_key, text, buttons, status, reason,
         due_at, run_at, expires_at, window_opens, window_closes, window_days, window_zone,
         leased_by, fence, intent_at, attempts, deaths, message_id, last_error, is_test, diverted,
         created_at, sent_at, settled_at, observed_at, withdrawal)
        SELECT n, CASE WHEN n <= %(of_rosa)s THEN 1 ELSE 1 + n %% %(learners)s END,
               (ARRAY['stream:missed-class', 'stream:welcome', 'stream:two-missed'])[1 + n %% 3],
               1, 100, '', 'crowd:' || n, 'Hi, we missed you in lesson ' || n || '.', '[]', status,
               CASE status WHEN 'unknown' THEN 'no_answer' WHEN 'dead' THEN 'too_many_tries'
                    WHEN 'failed' THEN 'content_refused' WHEN 'expired' THEN 'expired'
                    WHEN 'cancelled' THEN 'journey_exited' WHEN 'skipped' THEN 'capped'
                    ELSE '' END,
               due, due, due + interval '3 days', '09:00', '20:00', 127, 'Europe/Berlin', '', 1,
               CASE WHEN status IN ('sent', 'unknown', 'failed') THEN due END,
               CASE WHEN status = 'pending' THEN 0 ELSE 1 END, 0,
               CASE WHEN status = 'sent' THEN n END, '', false, false, due - interval '1 day',
               CASE WHEN status = 'sent' THEN due END,
               CASE WHEN status <> 'pending' THEN due + interval '15 minutes' END,
               CASE WHEN status <> 'pending' THEN due + interval '15 minutes' END, ''
          FROM generate_series(1, %(deliveries)s) n
         CROSS JOIN LATERAL (SELECT CASE
            WHEN n %% %(apart)s = 1 THEN 'unknown' WHEN n %% %(apart)s = 2 THEN 'dead'
            WHEN n %% 100 < 6 THEN 'pending' WHEN n %% 100 < 12 THEN 'failed'
            WHEN n %% 100 < 18 THEN 'expired' WHEN n %% 100 < 24 THEN 'cancelled'
            WHEN n %% 100 < 30 THEN 'skipped' ELSE 'sent' END AS status) s
         CROSS JOIN LATERAL (SELECT CASE status
            WHEN 'pending' THEN %(now)s + (1 + n %% 300) * interval '1 hour'
            ELSE %(now)s - (%(deliveries)s - n) * (interval '365 days' / %(deliveries)s)
            END AS due) t""",
    "delivery_attempt": """
        (id, delivery_id, fence, started_at, finished_at, outcome, http_status, description,
         message_id)
        SELECT d.id, d.id, 1, d.due_at, d.due_at + interval '1 second',
               CASE d.status WHEN 'sent' THEN 'sent' WHEN 'failed' THEN 'rejected'
                    WHEN 'dead' THEN 'not_sent' ELSE 'unknown' END,
               CASE d.status WHEN 'sent' THEN 200 WHEN 'failed' THEN 400 END,
               CASE d.status WHEN 'failed' THEN 'Bad Request' ELSE '' END, d.message_id
          FROM nurture_deliveries d WHERE d.status IN ('sent', 'unknown', 'failed', 'dead')""",
    # One in six is open, of those one in three held; half of the others wait on a message.
    "user_nurture_journeys": """
        (id, sequence_id, version_id, learner_id, entry_key, round, slot, status, exit_reason,
         session_id, course_id, cause_id, step_key, anchor_at, next_action_at, waiting_on_id,
         steps_taken, is_test, started_at, ended_at, paused_at)
        SELECT j, q.id, q.published_version_id, 1 + j %% %(learners)s, 'session:' || j, 1,
               CASE WHEN j %% 6 = 0 THEN 0 END,
               CASE WHEN j %% 6 <> 0 THEN CASE WHEN j %% 3 = 1 THEN 'completed' ELSE 'exited' END
                    WHEN j %% 18 = 0 THEN 'paused' ELSE 'active' END,
               CASE WHEN j %% 6 <> 0 AND j %% 3 <> 1 THEN 'exit_fact' ELSE '' END,
               121 + j %% 1000, 1 + (121 + j %% 1000) %% %(courses)s, j, 'hello', at,
               CASE WHEN j %% 6 = 0 AND j %% 18 <> 0 AND w.id IS NULL
                    THEN %(now)s + (j %% 200) * interval '1 hour' END,
               w.id, 1, false, at,
               CASE WHEN j %% 6 <> 0 THEN at + interval '2 days' END,
               CASE WHEN j %% 18 = 0 THEN at + interval '1 hour' END
          FROM generate_series(1, %(journeys)s) j
          JOIN (SELECT id, published_version_id, row_number() OVER (ORDER BY id) - 1 AS place,
                       count(*) OVER () AS all_of_them FROM nurture_sequences) q
            ON q.place = (j / %(learners)s) %% q.all_of_them
          LEFT JOIN (SELECT id, row_number() OVER (ORDER BY id) AS place
                       FROM nurture_deliveries WHERE status = 'pending') w
            ON j %% 12 = 0 AND j %% 18 <> 0 AND w.place = j / 12
         CROSS JOIN LATERAL (SELECT %(now)s - (%(journeys)s - j)
            * (interval '365 days' / %(journeys)s) AS at) t""",
    "nurture_decision": """
        (learner_id, sequence_id, journey_id, step_key, code, inputs, delivery_id, event_id,
         decided_at)
        SELECT CASE WHEN d.id <= %(of_rosa)s THEN 1 ELSE k.learner_id END,
               k.sequence_id, k.id, 'hello', 'step_planned',
               jsonb_build_object('due_at', d.due_at), d.id, NULL, d.created_at
          FROM nurture_deliveries d JOIN user_nurture_journeys k ON k.id = 1 + d.id %% %(journeys)s
        UNION ALL
        SELECT k.learner_id, k.sequence_id, k.id, '', 'entered', '{"fact": "missed"}', NULL,
               k.cause_id, k.started_at FROM user_nurture_journeys k""",
    "nurture_stafftask": """
        (id, kind, key, learner_id, note, created_at)
        SELECT n, 'handover', 'crowd:' || n, 1 + n %% %(learners)s, 'Please call.',
               %(now)s - interval '1 day' FROM generate_series(1, %(learners)s / 10) n""",
    "nurture_holdoutassignment": """
        (id, sequence_id, learner_id, held_out, assigned_at)
        SELECT n, q.id, n, n %% 10 = 0, %(now)s - interval '90 days'
          FROM generate_series(1, %(learners)s) n
         CROSS JOIN (SELECT min(id) AS id FROM nurture_sequences) q""",
}  # fmt: skip
