"""Telegram ids and updates are sealed, and found by keyed hashes; backwards they are readable again.

The types change in one statement each, the values batch by batch after it. Both ways with
encryption on and off; backwards every key that a value has must be set.
"""

import json

from django.db import migrations, models

from config.sealed.box import box
from config.sealed.fields import KeyedHash, SealedInteger, SealedJSON

BATCH = 1000
ID_AS, UPDATE_AS, KEY = "chat.telegram_id", "update.payload", "telegram"  # purposes

TYPES = """
UPDATE delivery_chat SET kind = 'group' WHERE telegram_id < 0;
ALTER TABLE delivery_chat ALTER COLUMN telegram_id TYPE text USING 'plain:' || telegram_id;
UPDATE delivery_inboundupdate SET is_answer = true
 WHERE payload ? 'callback_query'
    OR payload ? 'message' AND left(payload #>> '{message,text}', 1) IS DISTINCT FROM '/';
ALTER TABLE delivery_inboundupdate ALTER COLUMN payload TYPE text
USING CASE WHEN payload = '{}'::jsonb THEN '' ELSE 'plain:' || payload::text END;
"""
TYPES_BACK = """
ALTER TABLE delivery_chat ALTER COLUMN telegram_id TYPE bigint
USING substr(telegram_id, 7)::bigint;
ALTER TABLE delivery_inboundupdate ALTER COLUMN payload TYPE jsonb
USING CASE WHEN payload = '' THEN '{}'::jsonb ELSE substr(payload, 7)::jsonb END;
"""


def seal(apps, schema_editor):
    def chat(pk, stored):
        number = box().open(stored, ID_AS)
        return box().seal(number, ID_AS), box().hashed(number, KEY), pk

    def update(pk, number, payload):
        key = box().hashed(str(number), KEY) if number else None
        return key, box().seal(box().open(payload, UPDATE_AS), UPDATE_AS), pk

    with schema_editor.connection.cursor() as cursor:
        _rewrite(
            cursor, "delivery_chat", "telegram_id", "telegram_id = %s, telegram_key = %s", chat
        )
        _rewrite(
            cursor, "delivery_inboundupdate", "chat_number, payload",
            "chat_key = %s, payload = %s", update,
        )


def unseal(apps, schema_editor):
    numbers = {}  # by hash

    def chat(pk, stored, key):
        numbers[key] = box().open(stored, ID_AS)
        return f"plain:{numbers[key]}", pk

    def update(pk, key, payload):
        text = box().open(payload, UPDATE_AS)
        number = numbers.get(key) or (_number(json.loads(text)) if text else 0)
        return number, text and f"plain:{text}", pk

    with schema_editor.connection.cursor() as cursor:
        _rewrite(cursor, "delivery_chat", "telegram_id, telegram_key", "telegram_id = %s", chat)
        _rewrite(
            cursor, "delivery_inboundupdate", "chat_key, payload",
            "chat_number = %s, payload = %s", update,
        )


def _number(payload):
    """The chat of an update whose chat we never met."""
    told = payload.get("message") or payload.get("my_chat_member") or payload.get("callback_query")
    told = told if isinstance(told, dict) else {}
    below = told.get("message") if isinstance(told.get("message"), dict) else told
    chat = below.get("chat") or told.get("from")
    number = chat.get("id") if isinstance(chat, dict) else 0
    return number if isinstance(number, int) else 0


def _rewrite(cursor, table, columns, assignments, made):
    last = 0
    while True:
        cursor.execute(
            f"SELECT id, {columns} FROM {table} WHERE id > %s ORDER BY id LIMIT %s", [last, BATCH]
        )
        rows = cursor.fetchall()
        if not rows:
            return
        cursor.executemany(
            f"UPDATE {table} SET {assignments} WHERE id = %s", [made(*row) for row in rows]
        )
        last = rows[-1][0]


class Migration(migrations.Migration):
    dependencies = [("delivery", "0011_work_queues")]

    operations = [
        migrations.RemoveConstraint("chat", "delivery_chat_telegram_id"),
        migrations.AlterField("chat", "telegram_id", models.BigIntegerField()),
        migrations.AddField(
            "chat",
            "telegram_key",
            KeyedHash(of="telegram_id", purpose=KEY, null=True, editable=False),
        ),
        migrations.AddField(
            "inboundupdate", "is_answer", models.BooleanField(default=False, db_default=False)
        ),
        migrations.RemoveIndex("inboundupdate", "delivery_update_of_chat"),
        migrations.RenameField("inboundupdate", "chat_key", "chat_number"),
        migrations.AddField(
            "inboundupdate", "chat_key", KeyedHash(purpose=KEY, null=True, blank=True)
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(TYPES, TYPES_BACK)],
            state_operations=[
                migrations.AlterField(
                    "chat", "telegram_id", SealedInteger(purpose=ID_AS, beside="telegram_key")
                ),
                migrations.AlterField("inboundupdate", "payload", SealedJSON(purpose=UPDATE_AS)),
            ],
        ),
        migrations.RunPython(seal, unseal),
        migrations.AlterField(
            "chat",
            "telegram_key",
            KeyedHash(of="telegram_id", purpose=KEY, unique=True, editable=False),
        ),
        migrations.RemoveField("inboundupdate", "chat_number"),
        migrations.AddIndex(
            "inboundupdate",
            models.Index(fields=["chat_key", "received_at"], name="delivery_update_of_chat"),
        ),
    ]
