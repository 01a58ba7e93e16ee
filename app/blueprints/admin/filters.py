"""The log page's filters: read from the address, checked, and written back into it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from app.services.log_service import WITHOUT_SAMPLES, LogQuery
from app.services.texts import is_plain

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
STATUSES = ("2xx", "3xx", "4xx", "5xx")
RANGES = {
    "15m": ("Last 15 minutes", timedelta(minutes=15)),
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(days=1)),
    "7d": ("Last 7 days", timedelta(days=7)),
}
CUSTOM = "custom"
ACTIONS = (
    "request", "error", "slow_query", "login", "login_failed", "logout", "register",
    "password_changed", "role_changed", "account_disabled", "account_enabled", "sessions_ended",
    "item_create", "item_update", "item_delete", "upload", "error_resolved",
    "email_sent", "email_failed", "alert_firing", "logs_viewed", "logs_exported", "logs_archived",
    "logs_purged", "log_store_unavailable", "log_store_available", "sample", "token_created",
    "token_revoked", "token_refused",
)  # fmt: skip
FIELDS = (
    "level", "action", "user", "request_id", "text", "range", "from", "to", "status", "route",
    "fingerprint",
)  # fmt: skip

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_RECORD_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_MAX_LENGTH = 200


@dataclass(frozen=True)
class Filters:
    """Hold what was asked: as entered (`values`), as a query, and what is wrong with it."""

    values: dict[str, str]
    query: LogQuery = field(default_factory=LogQuery)
    before: str | None = None
    errors: dict[str, str] = field(default_factory=dict)

    def address(self, **changes: str | None) -> dict[str, str]:
        """Return the filters as address parameters, with changes; None takes one away."""
        merged = {**self.values, **changes}
        return {name: value for name, value in merged.items() if value}

    def chips(self) -> list[tuple[str, str, dict[str, str]]]:
        """Return (name, value, address without it) of each filter in use."""
        shown = {name: value for name, value in self.values.items() if name not in {"from", "to"}}
        if self.values.get("range") == CUSTOM:
            ends = (self.values.get("from") or "the start", self.values.get("to") or "now")
            shown["range"] = "{} to {}".format(*ends)
        return [(name, value, self._without(name)) for name, value in shown.items()]

    def _without(self, name: str) -> dict[str, str]:
        times = {"from": None, "to": None} if name == "range" else {}
        return self.address(**{name: None, **times})

    def audit(self) -> dict[str, str]:
        """Return what a record of this view may say: a text may be the secret looked for."""
        shown = {name: value for name, value in self.values.items() if name != "text"}
        if "text" in self.values:
            shown["text_length"] = str(len(self.values["text"]))
        return shown


def parse(args: Mapping[str, str], now: datetime) -> Filters:
    """Read filters from address parameters; what cannot be read is named in `errors`.

    Unknown parameters are ignored, so an old bookmark keeps working.
    """
    values = _entered(args)
    wanted, errors = _read(values, now)
    before = args.get("before", "").strip() or None
    if before and not _RECORD_ID.fullmatch(before):
        errors["before"] = "This page's address is damaged. Start again from the newest records."
    if errors:
        return Filters(values, errors=errors)
    if "actions" not in wanted and "request_id" not in wanted:
        wanted["without"] = WITHOUT_SAMPLES
    return Filters(_with_plain_times(values, wanted), LogQuery(**wanted), before)


def _entered(args: Mapping[str, str]) -> dict[str, str]:
    values = {name: args.get(name, "").strip() for name in FIELDS}
    values = {name: value for name, value in values.items() if value}
    if "range" not in values and ("from" in values or "to" in values):
        values["range"] = CUSTOM
    if values.get("range") != CUSTOM:
        values.pop("from", None)
        values.pop("to", None)
    return values


def _read(values: dict[str, str], now: datetime) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the values ask for, and what is wrong with them."""
    wanted: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, value in values.items():
        try:
            wanted.update(_PARSERS[name](_clean(value), now))
        except ValueError as error:
            errors[name] = str(error)
    if "since" in wanted and "until" in wanted and wanted["since"] > wanted["until"]:
        errors["to"] = "This end is before its start."
    return wanted, errors


def _with_plain_times(values: dict[str, str], wanted: dict[str, Any]) -> dict[str, str]:
    """Return the values with times as a browser's field wants them, whatever zone was entered."""
    keys = {"from": "since", "to": "until"}
    return {
        name: wanted[keys[name]].strftime("%Y-%m-%dT%H:%M:%S") if name in keys else value
        for name, value in values.items()
    }


def request_id_error(value: str) -> str | None:
    """Return what is wrong with a request ID, or None."""
    if REQUEST_ID.fullmatch(value):
        return None
    return "A request ID has 1 to 64 letters, digits, dots, dashes or underscores."


def is_record_id(value: str) -> bool:
    """Tell whether a value has the form of a record's id."""
    return bool(_RECORD_ID.fullmatch(value))


def _clean(value: str) -> str:
    if len(value) > _MAX_LENGTH:
        raise ValueError(f"Use {_MAX_LENGTH} characters or fewer.")
    # PostgreSQL refuses NUL in a parameter; no field needs any control character.
    if not is_plain(value):
        raise ValueError("Remove the characters that cannot be printed.")
    return value


def _level(value: str, _now: datetime) -> dict[str, Any]:
    if value.upper() not in LEVELS:
        raise ValueError(f"Choose one of {', '.join(LEVELS)}.")
    return {"levels": LEVELS[LEVELS.index(value.upper()) :]}


def _action(value: str, _now: datetime) -> dict[str, Any]:
    if not _NAME.fullmatch(value):
        raise ValueError("An action is a word in small letters, such as item_create.")
    return {"actions": (value,)}


def _user(value: str, _now: datetime) -> dict[str, Any]:
    if value.isascii() and value.isdigit():
        return {"user_id": value}
    if "@" not in value:
        raise ValueError("Give a user's number or e-mail address.")
    return {"account": value.lower()}


def _request_id(value: str, _now: datetime) -> dict[str, Any]:
    if problem := request_id_error(value):
        raise ValueError(problem)
    return {"request_id": value}


def _range(value: str, now: datetime) -> dict[str, Any]:
    if value == CUSTOM:
        return {}
    if value not in RANGES:
        raise ValueError(f"Choose one of {', '.join([*RANGES, CUSTOM])}.")
    return {"since": now - RANGES[value][1]}


def _instant(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("Write a time in UTC such as 2026-11-23T18:30.") from None


def _status(value: str, _now: datetime) -> dict[str, Any]:
    if value not in STATUSES:
        raise ValueError(f"Choose one of {', '.join(STATUSES)}.")
    first = int(value[0]) * 100
    return {"status_min": first, "status_max": first + 99}


def _fingerprint(value: str, _now: datetime) -> dict[str, Any]:
    if not re.fullmatch(r"[0-9a-f]{1,64}", value):
        raise ValueError("This is no error's fingerprint.")
    return {"fingerprint": value}


_PARSERS: dict[str, Callable[[str, datetime], dict[str, Any]]] = {
    "level": _level,
    "action": _action,
    "user": _user,
    "request_id": _request_id,
    "text": lambda value, _now: {"texts": (value,)},
    "range": _range,
    "from": lambda value, _now: {"since": _instant(value)},
    "to": lambda value, _now: {"until": _instant(value)},
    "status": _status,
    "route": lambda value, _now: {"route": value},
    "fingerprint": _fingerprint,
}
