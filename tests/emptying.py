"""How a test that commits leaves the database: empty, but for what Django itself keeps there.

Django would truncate every table, with all their indexes, and then make the content types and
permissions of all models anew. Few tables have rows after a test: those alone are emptied here, and
what would only be made again stays.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

#: Django writes them when it migrates, and again after each flush.
KEPT = frozenset({"django_content_type", "auth_permission"})


def empty_tables(_test: Any = None) -> None:
    """Delete every row of every model; numbers go on where they were.

    No guard of ours and no foreign key is asked meanwhile: what they keep from each other all goes.
    """
    quote = connection.ops.quote_name
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    seek = " UNION ALL ".join(
        f"(SELECT '{table}' FROM {quote(table)} LIMIT 1)" for table in set(tables) - KEPT
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(seek)
        filled = [table for (table,) in cursor.fetchall()]
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table in filled:
            cursor.execute(f"DELETE FROM {quote(table)}")
