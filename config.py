"""Every setting: its name, what it accepts, its default. `.env.example` lists the same."""

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

VERSION = "0.1.0"
ROOT = Path(__file__).resolve().parent
INSTANCE = ROOT / "instance"


class ConfigError(ValueError):
    """Say in one line which setting is wrong and what it accepts."""


@dataclass(frozen=True)
class Setting:
    name: str
    parse: Callable[[str], Any]
    default: Any
    accepts: str
    secret: bool = False


def _one_of(*values: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        for value in values:
            if text.lower() == value.lower():
                return value
        raise ValueError(text)

    return parse


def _integer(low: int, high: int = 2**53) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return parse


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value


def _boolean(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError(text)


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _addresses(text: str) -> list[str]:
    return [_address(part) for part in _list(text)]


def _address(text: str) -> str:
    if not is_email_address(text):
        raise ValueError(text)
    return text


def is_email_address(text: str) -> bool:
    """Tell whether mail can be sent to an address; RFC 5321 in practice.

    It has no spaces, no controls, and nothing that starts a second address.
    """
    pattern = r"""[A-Z!#-'*+\-/-9=?^-~.]{1,64}@[A-Za-z0-9.\-\[\]:]{1,253}"""
    return re.fullmatch(pattern, text) is not None


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not text.startswith(tuple(f"{scheme}:" for scheme in schemes)):
            raise ValueError(text)
        # SQLAlchemy's default driver for this scheme is psycopg2; the one installed is psycopg 3.
        return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", text)

    return parse


def _site(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(text)
    return text


_sql_url = _url("sqlite", "postgresql", "postgres", "postgresql+psycopg")
_log_store_url = _url(
    "sqlite", "postgresql", "postgres", "postgresql+psycopg", "mongodb", "mongodb+srv"
)
_storage_url = _url("database", "memory", "redis", "rediss")
_SQL_URLS = "a SQLAlchemy address such as sqlite:////var/lib/app.db or postgresql://user@host/name"
_LOG_STORE_URLS = f"{_SQL_URLS}, or that of a MongoDB replica set such as mongodb://host/name"

SETTINGS: tuple[Setting, ...] = (
    Setting("APP_ENV", _one_of("development", "production", "testing"), "development",
            "development, production or testing"),
    Setting("SECRET_KEY", str, None, "a random text of at least 32 characters", secret=True),
    Setting("DATABASE_URL", _sql_url, None, _SQL_URLS, secret=True),
    Setting("LOG_STORE_URL", _log_store_url, None, _LOG_STORE_URLS, secret=True),
    Setting("LOG_DIR", str, str(ROOT / "logs"), "a folder"),
    Setting("LOG_LEVEL", _one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), "INFO",
            "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    Setting("LOG_FORMAT", _one_of("text", "json"), "text", "text or json"),
    Setting("LOG_FILE_MAX_BYTES", _integer(4096), 10_485_760, "bytes, 4096 or more"),
    Setting("LOG_FILE_BACKUP_COUNT", _integer(0, 100_000), 10, "a whole number, 0 or more"),
    Setting("LOG_LINE_MAX_BYTES", _integer(1024, 1_048_576), 16_384, "bytes, 1024 to 1048576"),
    Setting("LOG_SPOOL_MAX_BYTES", _integer(1_048_576), 1_073_741_824, "bytes, 1048576 or more"),
    Setting("LOG_KEEP_DAYS_DEBUG", _integer(1, 36_500), 7, "days, 1 to 36500"),
    Setting("LOG_KEEP_DAYS_INFO", _integer(1, 36_500), 30, "days, 1 to 36500"),
    Setting("LOG_KEEP_DAYS_ERROR", _integer(1, 36_500), 90, "days, 1 to 36500"),
    Setting("LOG_KEEP_DAYS_OPERATION", _integer(1, 36_500), 365, "days, 1 to 36500"),
    Setting("SLOW_QUERY_MS", _integer(0), 1000, "milliseconds, 0 or more"),
    Setting("UPLOAD_FOLDER", str, str(INSTANCE / "uploads"), "a folder"),
    Setting("UPLOAD_MAX_BYTES", _integer(1024), 5_242_880, "bytes, 1024 or more"),
    Setting("ALERT_RECIPIENTS", _addresses, [], "e-mail addresses, separated by commas"),
    Setting("ALERT_ERRORS_PER_HOUR", _integer(0), 10, "a whole number, 0 or more"),
    Setting("DISK_WARNING_PERCENT", _integer(0, 99), 10, "percent of free disk, 0 to 99"),
    Setting("SMTP_HOST", str, "", "a host name, empty for no mail"),
    Setting("SMTP_PORT", _integer(1, 65535), 25, "a port, 1 to 65535"),
    Setting("SMTP_USERNAME", str, "", "a user name"),
    Setting("SMTP_PASSWORD", str, "", "a password", secret=True),
    Setting("SMTP_STARTTLS", _boolean, False, "true or false"),
    Setting("SMTP_TIMEOUT", _integer(1, 300), 10, "seconds, 1 to 300"),
    Setting("MAIL_FROM", _address, "glasshouse@localhost", "one e-mail address"),
    Setting("SENTRY_DSN", str, "", "a Sentry DSN, empty for off", secret=True),
    Setting("SENTRY_TRACES_SAMPLE_RATE", _fraction, 0.0, "a number from 0 to 1"),
    Setting("METRICS_TOKEN", str, "", "a token, empty for none", secret=True),
    Setting("PUBLIC_URL", _site, "", "an address such as https://items.example.org"),
    Setting("TRUSTED_PROXIES", _integer(0, 10), 0, "the number of proxies in front, 0 to 10"),
    Setting("TRUSTED_HOSTS", _list, [], "host names, separated by commas, empty for any"),
    Setting("RATE_LIMIT_STORAGE_URL", _storage_url, "database://",
            "database://, memory:// or the address of a Redis server", secret=True),
    Setting("SCHEDULER_ENABLED", _boolean, None, "true or false"),
    Setting("RELEASE", str, None, "a version"),
    Setting("PORT", _integer(1, 65535), 8000, "a port, 1 to 65535"),
    Setting("WEB_CONCURRENCY", _integer(1, 256), 2, "a number of workers, 1 to 256"),
)  # fmt: skip


def load_settings(
    environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return Flask's configuration from the environment; `overrides` win over everything.

    Overrides that are no setting of ours pass through, so a test can set Flask's own keys.
    Raises ConfigError. In development it keeps a made-up secret key under `instance/`.
    """
    overrides = overrides or {}
    config = {
        setting.name: _parsed(setting, overrides.get(setting.name, environ.get(setting.name)))
        for setting in SETTINGS
    }
    _fill_defaults(config)
    _check_production(config, environ)
    config.update(_flask_keys(config))
    config.update({key: value for key, value in overrides.items() if key not in _NAMES})
    return config


_NAMES = {setting.name for setting in SETTINGS}


def misspelt(environ: Mapping[str, str]) -> dict[str, str]:
    """Return each variable that is no setting but nearly one, with the name of that setting."""
    # Short names are like many others.
    others = [name for name in environ if name not in _NAMES and len(name) > 5]
    near = {name: get_close_matches(name, _NAMES, 1, 0.9) for name in others}
    return {name: found[0] for name, found in near.items() if found}


def _parsed(setting: Setting, value: Any) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        return setting.default
    if not isinstance(value, str):
        return value
    try:
        return setting.parse(value.strip())
    except ValueError:
        shown = "the given value" if setting.secret else repr(value)
        raise ConfigError(f"{setting.name}: {shown} is not {setting.accepts}.") from None


def _fill_defaults(config: dict[str, Any]) -> None:
    for name in ("LOG_DIR", "UPLOAD_FOLDER"):
        config[name] = str(ROOT / config[name])
    config["DATABASE_URL"] = config["DATABASE_URL"] or f"sqlite:///{INSTANCE / 'app.db'}"
    for name, accepts in (("DATABASE_URL", _SQL_URLS), ("LOG_STORE_URL", _LOG_STORE_URLS)):
        if config[name]:
            _check_url(name, config[name], accepts)
            config[name] = _from_root(config[name])
    config["LOG_STORE_URL"] = config["LOG_STORE_URL"] or _beside(config["DATABASE_URL"])
    if config["SCHEDULER_ENABLED"] is None:
        config["SCHEDULER_ENABLED"] = config["APP_ENV"] != "testing"
    config["RELEASE"] = config["RELEASE"] or VERSION
    if config["SECRET_KEY"] is None and config["APP_ENV"] != "production":
        config["SECRET_KEY"] = _development_key(INSTANCE / "secret_key")


def _from_root(url: str) -> str:
    """Return an address whose SQLite file, if it has one, is found from the project's folder."""
    if is_mongodb(url):
        return url
    parsed = make_url(url)
    file = parsed.database or ""
    if (
        parsed.get_backend_name() != "sqlite"
        or file in {"", ":memory:"}
        or file.startswith("file:")
    ):
        return url
    return parsed.set(database=str(ROOT / file)).render_as_string(hide_password=False)


def _check_url(name: str, url: str, accepts: str) -> None:
    try:
        if is_mongodb(url):
            _check_mongodb_url(url)
        else:
            make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(f"{name}: the given value is not {accepts}.") from None


def _check_mongodb_url(url: str) -> None:
    # The driver takes memory, which nobody needs who keeps the log elsewhere.
    from pymongo.errors import PyMongoError
    from pymongo.uri_parser import parse_uri

    scheme, rest = url.split(":", 1)
    try:
        # What DNS has to complete is not looked up here: that may take its time.
        parse_uri(url if scheme == "mongodb" else f"mongodb:{rest.partition('?')[0]}")
    except PyMongoError as error:
        raise ValueError(str(error)) from error


def is_mongodb(url: str) -> bool:
    """Tell whether an address is one of MongoDB."""
    return url.startswith(("mongodb:", "mongodb+srv:"))


def _beside(database_url: str) -> str:
    """Return the log store that suits a database: its own server, or a SQLite file beside it."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite":
        return database_url
    if not url.database or url.database == ":memory:":
        return f"sqlite:///{INSTANCE / 'logs.db'}"
    return f"sqlite:///{Path(url.database).with_name('logs.db')}"


def _development_key(path: Path) -> str:
    """Return the key kept at `path`; of several workers that start together one makes it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        if not path.exists():
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_hex(32))
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
        return path.read_text().strip()
    except OSError as error:
        reason = error.strerror
        raise ConfigError(
            f"SECRET_KEY: none is set and {path} cannot be used ({reason}); "
            "set SECRET_KEY or make that folder writable."
        ) from None


def _check_production(config: dict[str, Any], environ: Mapping[str, str]) -> None:
    if config["APP_ENV"] != "production":
        return
    if len(config["SECRET_KEY"] or "") < 32:
        raise ConfigError(
            "SECRET_KEY: production needs a random text of at least 32 characters; make one with "
            "python3 -c 'import secrets; print(secrets.token_hex(32))'."
        )
    if config["LOG_LEVEL"] == "DEBUG":
        raise ConfigError("LOG_LEVEL: DEBUG is not allowed in production; use INFO.")
    if environ.get("FLASK_DEBUG", "").lower() not in {"", "0", "false", "no"}:
        raise ConfigError("FLASK_DEBUG: debug mode is not allowed in production; unset it.")


def _engine_options(url: str) -> dict[str, Any]:
    # Parameters may hold passwords: keep them out of exception texts and logs.
    options: dict[str, Any] = {"hide_parameters": True}
    if not url.startswith("sqlite"):
        # A server that was restarted costs no request, and one that is gone costs seconds.
        options |= {"pool_pre_ping": True, "connect_args": {"connect_timeout": 5}}
    return options


def _binds(log_store_url: str) -> dict[str, dict[str, Any]]:
    if is_mongodb(log_store_url):
        return {}
    return {"logs": {"url": log_store_url, **_engine_options(log_store_url)}}


def _flask_keys(config: dict[str, Any]) -> dict[str, Any]:
    production = config["APP_ENV"] == "production"
    return {
        "TESTING": config["APP_ENV"] == "testing",
        "TRUSTED_HOSTS": config["TRUSTED_HOSTS"] or None,
        "SQLALCHEMY_DATABASE_URI": config["DATABASE_URL"],
        "SQLALCHEMY_BINDS": _binds(config["LOG_STORE_URL"]),
        "SQLALCHEMY_ENGINE_OPTIONS": _engine_options(config["DATABASE_URL"]),
        "MAX_CONTENT_LENGTH": config["UPLOAD_MAX_BYTES"] + 65_536,
        "SESSION_COOKIE_SECURE": production,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": 14 * 24 * 3600,
        "SEND_FILE_MAX_AGE_DEFAULT": 31_536_000,
        "BOOTSTRAP_SERVE_LOCAL": True,
        "RATELIMIT_ENABLED": config["APP_ENV"] != "testing",
        "WTF_CSRF_TIME_LIMIT": None,
        # The token is the proof; a program that sends it should not need a Referer as well.
        "WTF_CSRF_SSL_STRICT": False,
    }
