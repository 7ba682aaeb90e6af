"""The project's settings in a test run's own world: servers of its own, and nothing of .env.

pytest-django reads settings before any conftest, so what they depend on is set here.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("LOCAL_DIR", str(Path(__file__).resolve().parent.parent / ".local" / "test"))
if _worker := os.environ.get("PYTEST_XDIST_WORKER"):
    # Tests flush Redis and count what is in it: each worker has servers of its own.
    os.environ["LOCAL_DIR"] = str(Path(os.environ["LOCAL_DIR"]) / _worker)
for _name in ("BOT_TOKEN", "GOOGLE_SERVICE_ACCOUNT_JSON", "GOOGLE_API_URL", "GOOGLE_CALENDAR_IDS"):
    os.environ[_name] = ""
os.environ["PTB_TIMEDELTA"] = "1"
# Processes that a test starts get the real settings, with what the test gives them.
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

from config.settings import *  # noqa: E402, F403

# A slow hash protects people's passwords; a test's boss has none worth a third of a second.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
