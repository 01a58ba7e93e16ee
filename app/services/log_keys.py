"""The keys of the log's search language: which values each takes, and what they ask the store."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
OUTCOMES = ("success", "failed", "refused")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_STATUS = re.compile(r"(>=|<=|>|<)?([1-9]\d\d)|([1-9])xx", re.IGNORECASE)
_DURATION = re.compile(r"(>=|<=|>|<)?(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|min)?", re.IGNORECASE)
_LEVEL = re.compile(r"(>=|<=|>|<)?([a-z]+)", re.IGNORECASE)
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000}

Fields = dict[str, Any]


class BadValue(ValueError):
    """Say what is wrong with a value, and which one may have been meant."""

    def __init__(self, message: str, instead: str | None = None) -> None:
        super().__init__(message)
        self.instead = instead


@dataclass(frozen=True)
class Key:
    """One key: how its values are read into fields of a LogQuery, and how it is explained.

    `foreign` reads a value in quotation marks that is none of ours: another program may have
    written it.
    """

    read: Callable[[str], Fields]
    example: str
    help: str
    values: tuple[str, ...] = ()
    foreign: Callable[[str], Fields] | None = None


def nearest(word: str, known: tuple[str, ...]) -> str | None:
    """Return the known word that a misspelt one was probably meant to be."""
    return next(iter(get_close_matches(word.lower(), known, 1, 0.6)), None)


def request_id_error(value: str) -> str | None:
    """Return what is wrong with a request ID, or None."""
    if REQUEST_ID.fullmatch(value):
        return None
    return "A request ID has 1 to 64 letters, digits, dots, dashes or underscores."


def _level(value: str) -> Fields:
    found = _LEVEL.fullmatch(value)
    name = found[2].upper() if found else ""
    if found is None or name not in LEVELS:
        sign, word = (found[1] or "", found[2]) if found else ("", value)
        near = nearest(word, tuple(map(str.lower, LEVELS)))
        said = "Levels are debug, info, warning, error and critical; >=warning is that and above."
        raise BadValue(said, f"{sign}{near}" if near else None)
    at = LEVELS.index(name)
    chosen = {
        None: LEVELS[at : at + 1], ">=": LEVELS[at:], ">": LEVELS[at + 1 :],
        "<=": LEVELS[: at + 1], "<": LEVELS[:at],
    }[found[1]]  # fmt: skip
    if not chosen:
        raise BadValue(f"There is no level {'above' if found[1] == '>' else 'below'} {found[2]}.")
    return {"levels": chosen}


def _action(value: str) -> Fields:
    if not _NAME.fullmatch(value):
        near = value.lower().replace(" ", "_")
        raise BadValue(
            "An action is a word in small letters, such as item_create.",
            near if _NAME.fullmatch(near) else None,
        )
    return {"actions": (value,)}


def _user(value: str) -> Fields:
    if value.isascii() and value.isdigit():
        return {"user_id": value}
    return _account(value)


def _account(value: str) -> Fields:
    # Addresses are kept in small letters; another name stands in the log as it was given.
    return {"account": value.lower() if "@" in value else value}


def _status(value: str) -> Fields:
    found = _STATUS.fullmatch(value)
    if found is None:
        near = f"{value[0]}xx" if re.match(r"[1-5]", value) else None
        raise BadValue("Write a status such as 404, a class such as 5xx, or >=400.", near)
    if found[3]:
        first = int(found[3]) * 100
        return {"status_min": first, "status_max": first + 99}
    status = int(found[2])
    return {
        None: {"status_min": status, "status_max": status},
        ">=": {"status_min": status}, ">": {"status_min": status + 1},
        "<=": {"status_max": status}, "<": {"status_max": status - 1},
    }[found[1]]  # fmt: skip


def _duration(value: str) -> Fields:
    found = _DURATION.fullmatch(value)
    if found is None or found[1] is None:
        near = f">{value}" if found else None
        raise BadValue("Write a duration such as >500 (milliseconds), >1.5s or <2s.", near)
    milliseconds = float(found[2]) * _UNITS[(found[3] or "ms").lower()]
    # A duration is measured: to the store, from 500 on and beyond 500 are the same.
    return {"min_duration_ms" if found[1].startswith(">") else "max_duration_ms": milliseconds}


def _request(value: str, name: str = "request_id") -> Fields:
    if problem := request_id_error(value):
        raise BadValue(problem)
    return {"request_id": value} if name == "request_id" else _same(name, value)


def _item(value: str) -> Fields:
    return {"equal": (("target_type", "item"), ("target_id", value))}


def _target(value: str) -> Fields:
    kind, _, target_id = value.partition("/")
    if not kind:
        raise BadValue("Write what kind of thing, and which one: item, or item/42.")
    pairs = (("target_type", kind), ("target_id", target_id))
    return {"equal": pairs if target_id else pairs[:1]}


def _error(value: str) -> Fields:
    if not re.fullmatch(r"[0-9a-f]{1,64}", value):
        raise BadValue("This is no error's fingerprint. To look for words, put them in quotes.")
    return {"fingerprint": value}


def _same(name: str, value: str) -> Fields:
    return {"equal": ((name, value),)}


def _plain(name: str) -> Callable[[str], Fields]:
    return partial(_same, name)


KEYS = {
    "level": Key(_level, "level:>=warning", "that level; >= for that and above",
                 tuple(f"{sign}{level.lower()}" for sign in ("", ">=") for level in LEVELS),
                 foreign=lambda value: {"levels": (value.upper(),)}),
    "action": Key(_action, "action:login_failed", "what was done",
                  foreign=lambda value: {"actions": (value,)}),
    "user": Key(_user, "user:7", "a user's number, or the account's name"),
    "account": Key(_account, "account:ann@example.com", "the e-mail address that was given"),
    "status": Key(_status, "status:5xx", "of the answer: 404, 5xx or >=400",
                  ("2xx", "3xx", "4xx", "5xx", "404", "500", ">=400")),
    "route": Key(lambda value: {"route": value}, "route:/items", "a route, as the log shows it"),
    "path": Key(_plain("path"), "path:/items/42", "the address that was asked for"),
    "method": Key(lambda value: _same("method", value.upper()), "method:POST", "of the request",
                  METHODS),
    "duration": Key(_duration, "duration:>500", "longer or shorter: >500 (ms), >1.5s, <2s",
                    (">100", ">500", ">1s", ">5s")),
    "request": Key(_request, "request:01a2…", "everything under one request ID"),
    "parent": Key(partial(_request, name="parent_request_id"), "parent:01a2…",
                  "what one request or job caused"),
    "item": Key(_item, "item:42", "everything done to one item"),
    "target": Key(_target, "target:user/7", "everything done to one thing"),
    "error": Key(_error, "error:a1b2c3", "every time one error happened: its fingerprint",
                 foreign=lambda value: {"fingerprint": value}),
    "outcome": Key(_plain("outcome"), "outcome:failed", "how it ended", OUTCOMES),
    "address": Key(_plain("remote_addr"), "address:203.0.113.9", "where a request came from"),
    "host": Key(_plain("host"), "host:web-1", "the machine that wrote it"),
    "release": Key(_plain("release"), "release:1.4.0", "the release that wrote it"),
    "logger": Key(_plain("logger"), "logger:app.events", "the logger's name"),
}  # fmt: skip

# What else people write for a key.
SYNONYMS = {
    "severity": "level", "event": "action", "email": "account", "mail": "account",
    "user_id": "user", "status_code": "status", "code": "status", "url": "path", "uri": "path",
    "endpoint": "route", "request_id": "request", "parent_request_id": "parent",
    "fingerprint": "error", "exception": "error", "duration_ms": "duration", "took": "duration",
    "ip": "address", "remote_addr": "address", "client": "address", "hostname": "host",
    "version": "release", "target_id": "target", "verb": "method", "item_id": "item",
}  # fmt: skip

# Fields that take several values: texts that must all be found, else alternatives.
SEVERAL = frozenset({"levels", "actions", "equal", "texts"})
# Of these a record has one, and each value is of two fields: two of them would cross.
_PAIRED = frozenset({"item", "target"})


_BOTH_ENDS = {"status": "status:>=400 status:<500", "duration": "duration:>100 duration:<500"}


def slots(key: str, fields: Fields) -> set[str]:
    """Return which places of a query a term takes that no other may take."""
    return {"target"} if key in _PAIRED else set(fields) - SEVERAL


def instead_of_two(key: str) -> str:
    """Return what to do where a key can be asked for one value only."""
    ends = _BOTH_ENDS.get(key)
    return f"Give both ends, as in {ends}." if ends else "Look for one, and then for the other."


# Several values of one of these are alternatives.
ALTERNATIVES = tuple(
    name for name, key in KEYS.items()
    if not slots(name, key.read(key.example.partition(":")[2].rstrip("…")))
)  # fmt: skip
