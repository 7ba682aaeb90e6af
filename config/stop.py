"""`make stop`: end what runs under LOCAL_DIR, without needing a database to do so."""

from __future__ import annotations

import os

import django


def main() -> None:
    """End the sandbox and the embedded servers of this LOCAL_DIR."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.conf import settings

    from config import embedded, processes
    from delivery.sandbox import client

    processes.stop(settings.LOCAL_DIR)
    client.stop()
    embedded.stop(settings.LOCAL_DIR)


if __name__ == "__main__":
    main()
