"""The log page's address: a search and a time range, read, checked, and written back into it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from app.services import log_language
from app.services.log_keys import nearest
from app.services.log_language import Search, with_term, without_term
from app.services.log_service import LogQuery

RANGES = {
    "15m": ("Last 15 minutes", timedelta(minutes=15)),
    "1h": ("Last hour", timedelta(hours=1)),
    "6h": ("Last 6 hours", timedelta(hours=6)),
    "24h": ("Last 24 hours", timedelta(days=1)),
    "yesterday": ("Yesterday", timedelta(days=1)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
}
CUSTOM = "custom"
ACTIONS = (
    "request", "error", "slow_query", "login", "login_failed", "logout", "register",
    "password_changed", "role_changed", "account_disabled", "account_enabled", "sessions_ended",
    "item_create", "item_update", "item_delete", "upload", "error_resolved",
    "error_reopened",
    "email_sent", "email_failed", "alert_firing", "logs_viewed", "logs_exported", "logs_archived",
    "logs_purged", "log_store_unavailable", "log_store_available", "sample", "token_created",
    "token_revoked", "tokens_revoked", "token_refused",
)  # fmt: skip
FIELDS = ("q", "range", "from", "to")

_RECORD_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Filters:
    """Hold what was asked: as entered, as a query, and what is wrong with it."""

    search: Search = field(default_factory=lambda: log_language.parse(""))
    times: Mapping[str, str] = field(default_factory=dict)
    query: LogQuery = field(default_factory=LogQuery)
    before: str | None = None
    errors: Mapping[str, str] = field(default_factory=dict)

    def address(self, **changes: str | None) -> dict[str, str]:
        """Return search and time as address parameters, with changes; None takes one away."""
        merged = {"q": self.search.text, **self.times, **changes}
        return {name: value for name, value in merged.items() if value}

    def narrowed(self, key: str, value: str, *, negated: bool = False) -> dict[str, str]:
        """Return the address that asks for a key's value too, or leaves it out."""
        return self.address(q=with_term(self.search.text, key, value, negated=negated))

    def zoomed(self, since: datetime, until: datetime) -> dict[str, str]:
        """Return the address of the same search in another stretch of time."""
        return self.address(**{"range": None, "from": _spelt(since), "to": _spelt(until)})

    def meant(self) -> tuple[str, dict[str, str]] | None:
        """Return the first action that is none of ours but nearly one, as that, and its address."""
        text = self.search.text
        for one in self.search.terms:
            asked = one.key == "action" and not one.negated and one.value not in ACTIONS
            if asked and (near := nearest(one.value, ACTIONS)):
                term = f"action:{near}"
                return term, self.address(q=f"{text[: one.start]}{term}{text[one.end :]}")
        return None

    def chips(self) -> list[tuple[str, str, bool, dict[str, str]]]:
        """Return (key, value, negated, address without it) of each part that is in use."""
        chips = [
            (one.key, one.value, one.negated, self.address(q=without_term(self.search.text, one)))
            for one in self.search.terms
        ]
        if self.times:
            known = RANGES.get(self.times.get("range", ""))
            ends = (self.times.get("from") or "the start", self.times.get("to") or "now")
            shown = known[0] if known else "{} to {}".format(*ends).replace("T", " ")
            chips.append(("time", shown, False, self.address(**dict.fromkeys(FIELDS[1:]))))
        return chips

    def audit(self) -> dict[str, str]:
        """Return what a record of this view may say."""
        return {**self.search.audit(), **self.times}


def parse(args: Mapping[str, str], now: datetime) -> Filters:
    """Read address parameters; what cannot be read is named in `errors`.

    Unknown parameters are ignored.
    """
    search = log_language.parse(args.get("q", ""))
    times = _entered(args)
    wanted, errors = _read(times, now)
    if search.problems:
        first = search.problems[0]
        errors["q"] = f"At character {first.start + 1}: {first.message}"
    before = args.get("before", "").strip() or None
    if before and not _RECORD_ID.fullmatch(before):
        errors["before"] = "This page's address is damaged. Start again from the newest records."
    if errors:
        return Filters(search, times, errors=errors)
    times = {name: times[name] if name == "range" else _spelt(wanted[_ENDS[name]])
             for name in times}  # fmt: skip
    return Filters(
        search,
        times,
        replace(search.query, since=wanted.get("since"), until=wanted.get("until")),
        before,
    )


_ENDS = {"from": "since", "to": "until"}


def _entered(args: Mapping[str, str]) -> dict[str, str]:
    values = {name: args.get(name, "").strip() for name in FIELDS[1:]}
    if values["range"] not in {"", CUSTOM}:
        return {"range": values["range"]}
    return {name: values[name] for name in _ENDS if values[name]}


def _read(times: Mapping[str, str], now: datetime) -> tuple[dict[str, datetime], dict[str, str]]:
    """Return the ends of the time that is asked for, and what is wrong with them."""
    wanted: dict[str, datetime] = {}
    errors: dict[str, str] = {}
    for name, value in times.items():
        if name == "range" and value in RANGES:
            wanted = _stretch(value, now)
        elif name == "range":
            errors[name] = f"Choose one of {', '.join(RANGES)}."
        elif (moment := _instant(value)) is None:
            errors[name] = "Write a time in UTC such as 2026-11-23T18:30."
        else:
            wanted[_ENDS[name]] = moment
    if "since" in wanted and "until" in wanted and wanted["since"] >= wanted["until"]:
        errors["to"] = "This end is not after its start."
    return wanted, errors


def _stretch(name: str, now: datetime) -> dict[str, datetime]:
    """Return the ends of a named time; all but the day before today go on."""
    if name != "yesterday":
        return {"since": now - RANGES[name][1]}
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {"since": today - RANGES[name][1], "until": today}


def _instant(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
        found = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    # Years that a chart can begin and end in.
    return found if 1970 <= found.year < 9000 else None


def _spelt(moment: datetime) -> str:
    # As a browser's field wants it, whatever zone was entered.
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def is_record_id(value: str) -> bool:
    """Tell whether a value has the form of a record's id."""
    return bool(_RECORD_ID.fullmatch(value))
