"""The archive: one table in months. PostgreSQL partitions it, so Django only learns its columns."""

import django.db.models.deletion
from django.db import migrations, models

# The key of a partitioned table has to hold what it is partitioned by. The rows' own key comes from
# nurture_deliveries and is never given twice.
ARCHIVE = """
CREATE TABLE delivery_archive (
    id bigint NOT NULL,
    chat_id bigint NOT NULL,
    dedupe_key varchar(200) NOT NULL,
    stream varchar(80) NOT NULL,
    category varchar(64) NOT NULL,
    lane smallint NOT NULL,
    is_test boolean NOT NULL,
    status varchar(10) NOT NULL,
    reason varchar(32) NOT NULL,
    text text NOT NULL,
    buttons jsonb NOT NULL,
    due_at timestamptz NOT NULL,
    run_at timestamptz NOT NULL,
    intent_at timestamptz,
    sent_at timestamptz,
    settled_at timestamptz NOT NULL,
    rest jsonb NOT NULL,
    tries jsonb NOT NULL,
    PRIMARY KEY (id, settled_at)
) PARTITION BY RANGE (settled_at);
CREATE INDEX delivery_archive_order ON delivery_archive (settled_at, id);
CREATE INDEX delivery_archive_key ON delivery_archive (dedupe_key);
CREATE INDEX delivery_archive_of_chat ON delivery_archive (chat_id, settled_at);
"""
# Whoever goes back finds every row where it was. Nothing is lost, however long it takes.
BACK = """
INSERT INTO nurture_deliveries
SELECT (jsonb_populate_record(NULL::nurture_deliveries,
        a.rest || (to_jsonb(a) - ARRAY['rest', 'tries']))).*
  FROM delivery_archive a;
INSERT INTO delivery_attempt
SELECT (jsonb_populate_record(NULL::delivery_attempt,
        t || jsonb_build_object('delivery_id', a.id))).*
  FROM delivery_archive a CROSS JOIN LATERAL jsonb_array_elements(a.tries) t;
TRUNCATE delivery_archive;
SET CONSTRAINTS ALL IMMEDIATE;
"""


class Migration(migrations.Migration):
    dependencies = [("delivery", "0012_sealed_ids")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(ARCHIVE, f"{BACK} DROP TABLE delivery_archive;")
            ],
            state_operations=[
                migrations.CreateModel(
                    name="ArchivedDelivery",
                    fields=[
                        ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                        ("dedupe_key", models.CharField(max_length=200)),
                        ("stream", models.CharField(max_length=80)),
                        ("category", models.CharField(blank=True, default="", max_length=64)),
                        ("lane", models.SmallIntegerField(choices=[(0, "reply"), (1, "bulk")])),
                        ("is_test", models.BooleanField()),
                        ("status", models.CharField(max_length=10)),
                        ("reason", models.CharField(blank=True, default="", max_length=32)),
                        ("text", models.TextField()),
                        ("buttons", models.JSONField(blank=True, default=list)),
                        ("due_at", models.DateTimeField()),
                        ("run_at", models.DateTimeField()),
                        ("intent_at", models.DateTimeField(blank=True, null=True)),
                        ("sent_at", models.DateTimeField(blank=True, null=True)),
                        ("settled_at", models.DateTimeField()),
                        ("rest", models.JSONField(default=dict)),
                        ("tries", models.JSONField(default=list)),
                        (
                            "chat",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="archived",
                                to="delivery.chat",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "delivery in the archive",
                        "verbose_name_plural": "deliveries in the archive",
                        "db_table": "delivery_archive",
                        "default_permissions": ("view",),
                        "indexes": [
                            models.Index(
                                fields=["settled_at", "id"], name="delivery_archive_order"
                            ),
                            models.Index(fields=["dedupe_key"], name="delivery_archive_key"),
                            models.Index(
                                fields=["chat", "settled_at"], name="delivery_archive_of_chat"
                            ),
                        ],
                    },
                ),
            ],
        ),
    ]
