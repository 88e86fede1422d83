"""Django's settings, and the only reader of the environment; a wrong value stops the start with a sentence."""

from __future__ import annotations

import base64
import hashlib
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _
from psycopg.conninfo import conninfo_to_dict

from acervo.base import environment, keyfile
from acervo.base.http import is_public_address
from acervo.base.postgres import EmbeddedPostgres

ENV = environment.read()
VERSION = version("acervo")
PACKAGE = Path(__file__).parent

# ── where things are ──
ACERVO_DATA_DIR = ENV.data_dir
ACERVO_BASE_URL = ENV.base_url
ACERVO_STORAGE_URL = ENV.storage_url or (ENV.data_dir / "files").as_uri()
ACERVO_SEALING = ENV.sealing
ACERVO_ALLOW_PRIVATE_HOSTS = ENV.allow_private_hosts
ACERVO_PROBE = is_public_address(ENV.base_url) if ENV.probe is None else ENV.probe
ACERVO_MAX_FILE_BYTES = ENV.max_file_mb * 1024 * 1024
ACERVO_CAPTURE_CONCURRENCY = ENV.capture_concurrency
ACERVO_FFMPEG = ENV.ffmpeg
ACERVO_FFPROBE = ENV.ffprobe
ACERVO_ISOLATION = ENV.isolation
ACERVO_CLAMD = ENV.clamd

# ── keys ──
SECRET_KEY = ENV.secret_key or keyfile.read_or_create(ENV.data_dir / "keys" / "secret").hex()
ACERVO_MASTER_KEY = (
    base64.b64decode(ENV.master_key)
    if ENV.master_key
    else keyfile.read_or_create(ENV.data_dir / "keys" / "master")
)
ACERVO_HAS_OWN_KEYS = not (ENV.secret_key and ENV.master_key)
# Names the key without telling it, so that a row says which master key it needs.
ACERVO_MASTER_KEY_ID = hashlib.sha256(b"acervo master key id" + ACERVO_MASTER_KEY).hexdigest()[:16]

# ── database ──
EMBEDDED = None if ENV.database_url else EmbeddedPostgres(ENV.data_dir)


def _connection_parameters() -> dict[str, object]:
    if EMBEDDED is not None:
        return dict(EMBEDDED.connection_parameters())
    return dict(conninfo_to_dict(ENV.database_url or ""))


def _database() -> dict[str, object]:
    known = _connection_parameters()
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": known.pop("dbname", "acervo"),
        "USER": known.pop("user", ""),
        "PASSWORD": known.pop("password", ""),
        "HOST": known.pop("host", ""),
        "PORT": str(known.pop("port", "")),
        # A database that does not answer must be told from one that takes its time.
        "OPTIONS": {"connect_timeout": 10, **known, "application_name": "acervo"},
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ── the web ──
_host = urlsplit(ENV.base_url).hostname or "127.0.0.1"
ALLOWED_HOSTS = [_host, "127.0.0.1", "localhost", "[::1]", *ENV.allowed_hosts]
CSRF_TRUSTED_ORIGINS = [ENV.base_url]
ROOT_URLCONF = "acervo.urls"
ASGI_APPLICATION = "acervo.asgi.application"
APPEND_SLASH = False
DEBUG = ENV.debug
_is_https = ENV.base_url.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _is_https
SECURE_HSTS_SECONDS = 31_536_000 if _is_https else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _is_https else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "acervo_session"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_SAVE_EVERY_REQUEST = False
CSRF_COOKIE_NAME = "acervo_csrf"
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "SAMEORIGIN"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "allauth",
    "allauth.account",
    "procrastinate.contrib.django",
    "acervo",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "acervo.web.middleware.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "acervo.web.middleware.member_preferences",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PACKAGE / "web" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["django.templatetags.i18n", "django.templatetags.static", "acervo.web.tags"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "acervo.web.context.shell",
            ],
        },
    }
]
STATIC_URL = "/static/"
STATICFILES_DIRS = [PACKAGE / "web" / "static"]

# ── people ──
AUTH_USER_MODEL = "acervo.Member"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_ADAPTER = "acervo.web.sign_in.InvitedMembersOnly"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = None
ACCOUNT_LOGOUT_ON_GET = False
LOGIN_URL = "/sign-in"
LOGIN_REDIRECT_URL = "/library"
ACCOUNT_LOGOUT_REDIRECT_URL = "/sign-in"

# ── words ──
LANGUAGE_CODE = ENV.language
LANGUAGES = [("pt-br", _("Português (Brasil)")), ("en", _("English")), ("es", _("Español"))]
LOCALE_PATHS = [PACKAGE / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = ENV.time_zone
USE_THOUSAND_SEPARATOR = True

# ── logs: events with ids and numbers, never stories ──
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "acervo.base.logs.TextFormatter"},
        "json": {"()": "acervo.base.logs.JsonFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": ENV.log_format}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "acervo": {"level": ENV.log_level},
        "django.request": {"level": "ERROR"},
        "procrastinate": {"level": "WARNING"},
    },
}

# ── jobs ──
PROCRASTINATE_ON_APP_READY = "acervo.timetable.register"
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = None

SILENCED_SYSTEM_CHECKS = ["auth.W004"]  # e-mail addresses are unique by a constraint on their lower case
