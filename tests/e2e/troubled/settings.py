"""The project's settings with trouble added: something in each process fails."""

from __future__ import annotations

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS, STORAGES

INSTALLED_APPS = [*INSTALLED_APPS, "tests.e2e.troubled.apps.TroubledConfig"]
ROOT_URLCONF = "tests.e2e.troubled.urls"
SECOND_FACTOR_REQUIRED = False
# A manifest needs collectstatic, which takes longer than the test.
STORAGES |= {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
