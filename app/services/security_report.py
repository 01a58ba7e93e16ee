"""Who tries to get in, who was refused, who looked at the log, who changed accounts."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from app.logstore import current_store
from app.logstore.contract import LogQuery
from app.logstore.filters import REFUSALS
from app.observability.ids import id_time
from app.services.errors import BadRequest

Record = Mapping[str, Any]
WINDOWS = {
    "1h": timedelta(hours=1), "24h": timedelta(days=1),
    "7d": timedelta(days=7), "30d": timedelta(days=30),
}  # fmt: skip
CHANGES = (
    "register", "password_changed", "role_changed", "account_disabled", "account_enabled",
    "sessions_ended", "token_created", "token_revoked", "tokens_revoked",
)  # fmt: skip
# What a person does who has forgotten a password, and what is more than that.
GUESSES, MANY = 10, 5
# How many of the newest records of each kind are looked at.
SAMPLE = 300
_TOP = 10
_VIEWS = ("logs_viewed", "logs_exported")


@dataclass(frozen=True)
class Found:
    """The newest records of a kind, newest first; `since` when there were more before it."""

    records: list[Record]
    since: datetime | None = None


@dataclass(frozen=True)
class Attempts:
    """Failed logins of one account, or from one address: `name`, None where it is not known.

    `others` is how many addresses tried this account, or how many accounts this address tried.
    `guessed_at` is the time of a login that succeeded after so many failures in a row.
    """

    name: str | None
    failures: int
    others: int
    reasons: list[tuple[str, int]]
    last_seen: datetime
    guessed_at: datetime | None

    @property
    def is_spread(self) -> bool:
        """Tell whether one account is tried from many addresses, or the other way round."""
        return self.others >= MANY

    @property
    def is_suspicious(self) -> bool:
        """Tell whether this is more than somebody who has forgotten a password."""
        return self.failures >= GUESSES or self.is_spread or self.guessed_at is not None


@dataclass(frozen=True)
class Tally:
    """Records that have the same `values`: how many, and the time of the newest."""

    values: tuple[Any, ...]
    count: int
    last_seen: datetime


@dataclass(frozen=True)
class SecurityReport:
    """What happened to accounts and permissions in a window."""

    failed: Found
    by_account: list[Attempts]
    by_address: list[Attempts]
    # Before it no log-in was looked for that came after failures.
    logins_since: datetime | None
    # By status, account or None, address and route.
    refused: list[Tally]
    refused_since: datetime | None
    # By account and action.
    readers: list[Tally]
    readers_since: datetime | None
    changes: Found


def report(window: str = "24h") -> SecurityReport:
    """Return what a window has. Raises BadRequest for another word, and StoreUnavailable."""
    if window not in WINDOWS:
        raise BadRequest(errors={"window": f"Choose one of {', '.join(WINDOWS)}."})
    since = datetime.now(UTC) - WINDOWS[window]
    with current_store().together():
        failed = _newest(since, actions=("login_failed",))
        logins = {name: _logins(failed.records, name) for name in ("account", "remote_addr")}
        refused = [_newest(since, status_min=status, status_max=status) for status in REFUSALS]
        views = _newest(since, actions=_VIEWS)
        changes = _newest(since, 50, actions=CHANGES)
    return SecurityReport(
        failed,
        _attempts(failed.records, logins["account"].records, "account", "remote_addr"),
        _attempts(failed.records, logins["remote_addr"].records, "remote_addr", "account"),
        max((found.since for found in logins.values() if found.since), default=None),
        _tallies(
            (one for found in refused for one in found.records),
            itemgetter("status", "account", "remote_addr", "route"),
        ),
        max((found.since for found in refused if found.since), default=None),
        _tallies(views.records, itemgetter("account", "action")),
        views.since,
        changes,
    )


def _newest(since: datetime, limit: int = SAMPLE, **fields: Any) -> Found:
    page = current_store().page(LogQuery(since=since, **fields), None, limit)
    return Found(list(page.records), id_time(page.next) if page.next else None)


def _logins(failed: Sequence[Record], name: str) -> Found:
    """Return log-ins since the first failure, of those only who failed so often."""
    counts = Counter(one[name] for one in failed if one[name])
    names = tuple((name, value) for value, count in counts.items() if count >= GUESSES)
    if not names:
        return Found([])
    return _newest(id_time(failed[-1]["id"]), actions=("login",), equal=names)


def _attempts(
    failed: Sequence[Record], logins: Sequence[Record], name: str, other: str
) -> list[Attempts]:
    """Group failed logins by one field; the most failures first."""
    groups: dict[Any, list[Record]] = defaultdict(list)
    for one in failed:
        groups[one[name]].append(one)
    succeeded: dict[Any, list[str]] = defaultdict(list)
    for one in logins:
        succeeded[one[name]].append(one["id"])
    found = [
        Attempts(
            value,
            len(records),
            len({one[other] for one in records} - {None}),
            Counter(str(one["details"].get("reason", "")) for one in records).most_common(),
            id_time(records[0]["id"]),
            _guessed_at([one["id"] for one in records], succeeded[value] if value else []),
        )
        for value, records in groups.items()
    ]
    return sorted(found, key=lambda one: (-one.failures, str(one.name)))[:_TOP]


def _guessed_at(failures: Sequence[str], logins: Sequence[str]) -> datetime | None:
    """Return the time of the newest login that came after GUESSES failures in a row, if any."""
    row, found = 0, None
    events = sorted([*((one, False) for one in failures), *((one, True) for one in logins)])
    for record_id, succeeded in events:
        if succeeded and row >= GUESSES:
            found = id_time(record_id)
        row = 0 if succeeded else row + 1
    return found


def _tallies(records: Iterable[Record], values: Callable[[Record], tuple[Any, ...]]) -> list[Tally]:
    """Count records by their values; the most frequent first."""
    counts: Counter[tuple[Any, ...]] = Counter()
    newest: dict[tuple[Any, ...], str] = {}
    for record in records:
        key = values(record)
        counts[key] += 1
        newest[key] = max(newest.get(key, ""), record["id"])
    return [Tally(key, count, id_time(newest[key])) for key, count in counts.most_common(_TOP)]
