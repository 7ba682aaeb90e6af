"""What the commands say of a backup."""

from __future__ import annotations

from typing import Any

from config.backups.archive import Manifest

#: What remains to be done after an anonymised dump was restored.
ROTATE = (
    "Once it is restored and migrated, run manage.py rotate_keys there: until then no chat and no"
    " name is found, for the hashes that find them need that environment's own keys."
)


def of(manifest: Manifest) -> dict[str, Any]:
    """As JSON: rows and checksum of each table. Equal checksums mean equal rows."""
    return {
        "ok": True,
        "kind": manifest.kind,
        "environment": manifest.environment,
        "taken_at": manifest.taken_at.isoformat(),
        "rows": manifest.rows,
        "migrations": len(manifest.migrations),
        "tables": {
            table.name: {"rows": table.rows, "sha256": table.sha256} for table in manifest.tables
        },
    }


def sentence(manifest: Manifest) -> str:
    """The same in one line."""
    return (
        f"{manifest.rows:,} rows of {len(manifest.tables)} tables, as of "
        f"{manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    )
