"""Names are sealed, and found by keyed hashes of their words; backwards they are readable again.

The type changes in one statement, the values batch by batch after it. Both ways with encryption
on and off; backwards every key that a value has must be set.
"""

from django.db import migrations

from config.sealed.box import box
from config.sealed.fields import KeyedWords, SealedName

BATCH = 1000
AS, WORDS = "learner.name", "name"  # purposes


def seal(apps, schema_editor):
    def sealed(pk, name):
        text = box().open(name, AS)
        return box().seal(text, AS), box().hashed_words(text, WORDS), pk

    _rewrite(schema_editor, "SET name = %s, name_words = %s", sealed)


def unseal(apps, schema_editor):
    def plain(pk, name):
        text = box().open(name, AS)
        return text and f"plain:{text}", pk

    _rewrite(schema_editor, "SET name = %s", plain)


def _rewrite(schema_editor, assignments, made):
    with schema_editor.connection.cursor() as cursor:
        last = 0
        while True:
            cursor.execute(
                "SELECT id, name FROM attendance_learner WHERE id > %s ORDER BY id LIMIT %s",
                [last, BATCH],
            )
            rows = cursor.fetchall()
            if not rows:
                return
            cursor.executemany(
                f"UPDATE attendance_learner {assignments} WHERE id = %s",
                [made(*row) for row in rows],
            )
            last = rows[-1][0]


class Migration(migrations.Migration):
    dependencies = [("attendance", "0007_class_pages")]

    operations = [
        migrations.AddField(
            "learner",
            "name_words",
            KeyedWords(of="name", purpose=WORDS, null=True),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    """
                    ALTER TABLE attendance_learner ALTER COLUMN name TYPE text
                    USING CASE WHEN name = '' THEN '' ELSE 'plain:' || name END
                    """,
                    """
                    ALTER TABLE attendance_learner ALTER COLUMN name TYPE varchar(200)
                    USING substr(name, 7)
                    """,
                ),
            ],
            state_operations=[
                migrations.AlterField(
                    "learner",
                    "name",
                    SealedName(
                        purpose=AS, beside="name_words", max_length=200, blank=True, default=""
                    ),
                ),
            ],
        ),
        migrations.RunPython(seal, unseal),
        migrations.AlterField("learner", "name_words", KeyedWords(of="name", purpose=WORDS)),
    ]
