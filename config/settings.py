"""All settings, for every environment, from the one table in config/env.py."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.templatetags.static import static

from config import embedded, env, logs
from config.telemetry import sentry

BASE_DIR = env.BASE_DIR
VALUES = env.read()

# --- the contract: names and meanings are in .env.example ---------------------------------------
ENVIRONMENT: str = VALUES["ENVIRONMENT"]
IS_LOCAL = ENVIRONMENT == "local"
LOCAL_DIR: Path = (BASE_DIR / VALUES["LOCAL_DIR"]).resolve()
_SERVERS = embedded.locate(LOCAL_DIR)
DATABASE_URL: str = VALUES["DATABASE_URL"] or _SERVERS.database_url
REDIS_URL: str = VALUES["REDIS_URL"] or _SERVERS.redis_url
USES_EMBEDDED_SERVERS = not (VALUES["DATABASE_URL"] and VALUES["REDIS_URL"])

BOT_TOKEN: str = VALUES["BOT_TOKEN"]
TELEGRAM_API_URL: str = VALUES["TELEGRAM_API_URL"]
TELEGRAM_WEBHOOK_SECRET: str = VALUES["TELEGRAM_WEBHOOK_SECRET"]
TELEGRAM_SENDS_PER_SECOND: float = VALUES["TELEGRAM_SENDS_PER_SECOND"]
TELEGRAM_SENDS_PER_SECOND_PER_CHAT: float = VALUES["TELEGRAM_SENDS_PER_SECOND_PER_CHAT"]
STAGING_ALLOWED_CHATS: frozenset[int] | None = VALUES["STAGING_ALLOWED_CHATS"]

GOOGLE_SERVICE_ACCOUNT_JSON: dict[str, Any] | None = VALUES["GOOGLE_SERVICE_ACCOUNT_JSON"]
GOOGLE_DELEGATED_USER: str = VALUES["GOOGLE_DELEGATED_USER"]
GOOGLE_CALENDAR_IDS: tuple[str, ...] = VALUES["GOOGLE_CALENDAR_IDS"]
GOOGLE_API_URL: str = VALUES["GOOGLE_API_URL"]

NURTURE_ENABLED: bool = VALUES["NURTURE_ENABLED"]
ATTENDANCE_ENABLED: bool = VALUES["ATTENDANCE_ENABLED"]
ROLLOUT_PERCENT: float = VALUES["ROLLOUT_PERCENT"]

PORT: int = VALUES["PORT"]
SANDBOX_PORT = PORT + 1
PUBLIC_URL: str = VALUES["PUBLIC_URL"] or f"http://127.0.0.1:{PORT}"
METRICS_TOKEN: str = VALUES["METRICS_TOKEN"]
OTEL_EXPORTER_OTLP_ENDPOINT: str = VALUES["OTEL_EXPORTER_OTLP_ENDPOINT"]
SLACK_WEBHOOK_URL: str = VALUES["SLACK_WEBHOOK_URL"]
PAGERDUTY_ROUTING_KEY: str = VALUES["PAGERDUTY_ROUTING_KEY"]
PAGERDUTY_API_URL: str = VALUES["PAGERDUTY_API_URL"]
BACKUP_S3_URL: str = VALUES["BACKUP_S3_URL"]
FIELD_ENCRYPTION_KEY: tuple[str, ...] = VALUES["FIELD_ENCRYPTION_KEY"]  # config/sealed

# The one place where delivery learns who answers a learner; a dotted path, so that the import
# direction stays config → nurture → delivery.
DELIVERY_INBOUND_HANDLER = "nurture.inbound.handle"
DELIVERY_BOT_COMMANDS = "nurture.voice.commands"  # the menu, by language

# --- Django ------------------------------------------------------------------------------------
SECRET_KEY: str = VALUES["SECRET_KEY"] or "local-only-never-used-outside-a-laptop-or-a-test-run-0"
SECRET_KEY_FALLBACKS: list[str] = [*VALUES["SECRET_KEY_FALLBACKS"]]
if not IS_LOCAL:
    # Drawn out: the 44 characters that Render generates hold 256 bits, but Django wants to see 50.
    SECRET_KEY, *SECRET_KEY_FALLBACKS = (
        hashlib.sha512(key.encode()).hexdigest() for key in (SECRET_KEY, *SECRET_KEY_FALLBACKS)
    )
DEBUG = False
ALLOWED_HOSTS: list[str] = [*VALUES["ALLOWED_HOSTS"]]
if IS_LOCAL:
    ALLOWED_HOSTS += [*sorted(env.LOOPBACK), "[::1]", "testserver"]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_dramatiq",  # sets the global broker, so it stands before the apps with actors
    "waffle",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "config.console",
    "delivery",
    "attendance",
    "nurture",
    "config",
]

MIDDLEWARE = [
    "config.telemetry.web.RequestId",
    "config.views.HealthMiddleware",  # neither a host check nor a redirect may answer for it
    "config.metrics.Requests",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.headers.BrowserPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.console.middleware.StaffZone",
    "config.second_factor.Required",
    "axes.middleware.AxesMiddleware",  # last: it turns a locked login into its answer
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES: dict[str, Any] = {"default": environ.Env.db_url_config(DATABASE_URL)}
DATABASES["default"]["ENGINE"] = "django.db.backends.postgresql"
DATABASES["default"]["CONN_MAX_AGE"] = 60
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# A network that swallows everything ends a statement after 20 to 25 s: by bytes that nobody
# acknowledges, or, while an answer is awaited, by probes that nobody answers. Where the far kernel
# answers these, a statement may take hours. The server does the same, so that it soon lets go of
# the locks of whoever is gone. Milliseconds, the others are seconds.
DATABASES["default"]["OPTIONS"] = {
    "application_name": "telbot",
    "connect_timeout": 5,
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "options": "-c tcp_user_timeout=20000 -c tcp_keepalives_idle=10"
    " -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
    **DATABASES["default"].get("OPTIONS", {}),  # what DATABASE_URL says counts more
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "telbot",
        # Seconds. A request that Redis lets wait goes on without it.
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    },
    "none": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
}
# waffle would cache flags: in a process, so that a kill switch reached the others minutes late, or
# in Redis, so that nobody could turn or read one while it is away. They are read from their rows.
WAFFLE_CACHE_NAME = "none"
WAFFLE_CREATE_MISSING_SWITCHES = False

DRAMATIQ_BROKER = {
    "BROKER": "dramatiq.brokers.redis.RedisBroker",
    "OPTIONS": {
        "url": REDIS_URL,
        "namespace": "telbot-dramatiq",
        # Dramatiq's defaults leave the messages of a killed worker stranded for minutes.
        "heartbeat_timeout": 15_000,
        "maintenance_chance": 100_000,
    },
    "MIDDLEWARE": [
        "config.telemetry.queue.Correlation",  # first: it is around all others
        "dramatiq.middleware.AgeLimit",
        "dramatiq.middleware.TimeLimit",
        "dramatiq.middleware.ShutdownNotifications",
        "dramatiq.middleware.Callbacks",
        # Every actor says max_retries=0: what is tried again is a row with a due time.
        "dramatiq.middleware.Retries",
        "django_dramatiq.middleware.DbConnectionsMiddleware",
        "config.onward.RingOnward",
        "config.stand_in.StandIn",
        "config.metrics.Tasks",
    ],
}
# An idle worker asks for bells at growing intervals, up to this many milliseconds; dramatiq's own
# second would be paid twice between a learner's word and the answer.
os.environ.setdefault("dramatiq_worker_timeout", "100")
DRAMATIQ_AUTODISCOVER_MODULES = ["tasks", "inbound_tasks"]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"  # storage and staff pages; learners and courses have zones of their own
USE_TZ = True
USE_I18N = True

STATIC_URL = "static/"
STATIC_ROOT = None if IS_LOCAL else BASE_DIR / "static-collected"
WHITENOISE_USE_FINDERS = IS_LOCAL  # a laptop and a test run need no collectstatic
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if IS_LOCAL
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: who is locked out is not even asked
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
SECOND_FACTOR_REQUIRED = not IS_LOCAL  # a password alone opens no page of the admin
OTP_TOTP_ISSUER = "telbot" if ENVIRONMENT == "production" else f"telbot {ENVIRONMENT}"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "admin/locked.html"
AXES_CLIENT_IP_CALLABLE = "config.second_factor.client_ip"
AXES_DISABLE_ACCESS_LOG = True  # who logged in is in the audit log; addresses are not collected
AXES_VERBOSE = False

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]

# The editor's script reads the CSRF cookie; the session's is for the server alone. A link in an
# alert leads into the admin, so both are sent with links, never with what other pages post.
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"  # addresses name learners by number
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024**2  # bytes of a form; nothing takes files
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000  # the editor posts a whole sequence, some 30 for each step
if not IS_LOCAL:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = urlsplit(PUBLIC_URL).scheme == "https"
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

LOGGING = logs.config(json=not IS_LOCAL)
logs.set_up(json=not IS_LOCAL)
sentry.start(dsn=VALUES["SENTRY_DSN"], environment=ENVIRONMENT)

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "telbot",
    "SITE_HEADER": "telbot",
    "SITE_URL": None,
    "SITE_SYMBOL": "forum",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": "config.admin.environment_badge",
    "DASHBOARD_CALLBACK": "config.admin.dashboard",
    "STYLES": [lambda request: static("console/console.css")],
    "SCRIPTS": [lambda request: static("console/console.js")],
    "SIDEBAR": {"show_search": True, "navigation": "config.admin.navigation"},
}
