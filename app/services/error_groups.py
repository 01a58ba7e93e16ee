"""Errors as groups: the same failure again is one line, open until somebody calls it resolved."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.logstore import current_store
from app.logstore.contract import LogQuery, Page
from app.logstore.error_groups import USERS_AMONG, ErrorGroup
from app.models.error_state import ErrorState
from app.models.types import utc_now
from app.models.user import User
from app.observability.ids import id_time
from app.observability.operations import operation
from app.services.errors import BadRequest, Conflict, NotFound

Record = Mapping[str, Any]
OPEN, RESOLVED, REOPENED = "open", "resolved", "reopened"
# What can be asked for; who comes back is open again.
SHOWN = {"open": {OPEN, REOPENED}, "resolved": {RESOLVED}, "all": {OPEN, REOPENED, RESOLVED}}
# Each window with the seconds of one point of its chart.
WINDOWS = {
    "1h": (timedelta(hours=1), 120),
    "24h": (timedelta(days=1), 3600),
    "7d": (timedelta(days=7), 21_600),
    "30d": (timedelta(days=30), 86_400),
}
LISTED = 50
_MOST_LOOKED_AT = 800
OCCURRENCES = 20
# How many of the newest occurrences are looked at to tell whom and where it hits.
SAMPLE = 100
_TOP = 8


@dataclass(frozen=True)
class ErrorKind:
    """One error with what is known of it; `group` has its counts, its first and newest record."""

    group: ErrorGroup
    state: str
    resolution: ErrorState | None

    @property
    def fingerprint(self) -> str:
        return self.group.fingerprint

    @property
    def newest(self) -> Record:
        return self.group.newest

    @property
    def last_seen(self) -> datetime:
        return id_time(self.group.newest["id"])

    @property
    def first_seen(self) -> datetime:
        """Return the time of its first record, or the day that was counted before that one."""
        first = id_time(self.group.first["id"])
        return first if self.first_is_kept else self.group.counted_since

    @property
    def first_is_kept(self) -> bool:
        """Tell whether the record of the first time is still there."""
        first = id_time(self.group.first["id"])
        return self.group.counted_since.date() >= first.date()

    @property
    def users_are_more(self) -> bool:
        """Tell whether there may be more users than were counted."""
        return self.group.count > USERS_AMONG


@dataclass(frozen=True)
class ErrorList:
    """The errors of a window, the newest first, and how many more there were."""

    errors: list[ErrorKind]
    starts: Sequence[datetime]
    left_out: int


@dataclass(frozen=True)
class ErrorStory:
    """One error: its newest record whole, whom and where it hit, and when.

    `hits` has for users, routes, hosts and releases the most frequent values with their counts,
    of the newest `sampled` occurrences in the window.
    """

    kind: ErrorKind
    starts: Sequence[datetime]
    record: Record
    occurrences: Page
    hits: Mapping[str, list[tuple[str, int]]]
    sampled: int


def list_errors(window: str = "24h", shown: str = "open") -> ErrorList:
    """Return the errors that happened in a window and are `open`, `resolved` or `all`.

    Raises BadRequest for another word, and StoreUnavailable, as every function here does.
    """
    if shown not in SHOWN:
        raise BadRequest(errors={"state": f"Choose one of {', '.join(SHOWN)}."})
    query, step = _asked(window)
    limit, store = LISTED, current_store()
    while True:
        with store.together():
            found = store.error_groups(query, step, limit)
        kinds = [kind for kind in _kinds(found.groups) if kind.state in SHOWN[shown]]
        # Behind many that are of another state there may be more of this one.
        if len(kinds) >= LISTED or not found.left_out or limit >= _MOST_LOOKED_AT:
            break
        limit *= 4
    left_out = found.left_out + max(len(kinds) - LISTED, 0)
    return ErrorList(kinds[:LISTED], found.starts, left_out)


def get_error(fingerprint: str, window: str = "24h", before: str | None = None) -> ErrorStory:
    """Return all about one error; its occurrences are a page of those older than `before`.

    Raises NotFound when the log has none.
    """
    query, step = _asked(window, fingerprint)
    store = current_store()
    found = store.error_groups(query, step)
    if not found.groups:
        raise NotFound("The log has no such error.")
    kind = _kinds(found.groups)[0]
    sample = store.page(query, None, SAMPLE).records
    return ErrorStory(
        kind,
        found.starts,
        store.get(kind.newest["id"]) or kind.newest,
        store.page(LogQuery(fingerprint=fingerprint), before, OCCURRENCES),
        {
            "users": _top(one["account"] or one["user_id"] for one in sample),
            **{f"{name}s": _top(one[name] for one in sample)
               for name in ("route", "host", "release")},
        },
        len(sample),
    )  # fmt: skip


def resolve(fingerprint: str, user: User, release: str | None) -> None:
    """Call an error resolved: it is open again as soon as it happens after this moment."""
    query = LogQuery(fingerprint=fingerprint)
    if not current_store().page(query, None, 1).records:
        raise NotFound("The log has no such error.")
    with operation("error_resolved", target_type="error", target_id=fingerprint):
        state = ErrorState(
            fingerprint=fingerprint, resolved_at=utc_now(), resolved_by=user.email, release=release
        )
        db.session.merge(state)
        try:
            db.session.flush()
        except IntegrityError:
            raise Conflict("Somebody else has just resolved it.") from None


def reopen(fingerprint: str) -> None:
    """Take back that an error was resolved; raise NotFound when it is not."""
    with operation("error_reopened", target_type="error", target_id=fingerprint):
        taken = delete(ErrorState).where(ErrorState.fingerprint == fingerprint)
        if db.session.scalar(taken.returning(ErrorState.fingerprint)) is None:
            raise NotFound("Nobody has called this error resolved.")


def _asked(window: str, fingerprint: str | None = None) -> tuple[LogQuery, int]:
    if window not in WINDOWS:
        raise BadRequest(errors={"window": f"Choose one of {', '.join(WINDOWS)}."})
    span, step = WINDOWS[window]
    return LogQuery(since=datetime.now(UTC) - span, fingerprint=fingerprint), step


def _kinds(groups: Sequence[ErrorGroup]) -> list[ErrorKind]:
    names = [one.fingerprint for one in groups]
    found = db.session.scalars(select(ErrorState).where(ErrorState.fingerprint.in_(names)))
    states = {one.fingerprint: one for one in found}
    return [_kind(group, states.get(group.fingerprint)) for group in groups]


def _kind(group: ErrorGroup, resolution: ErrorState | None) -> ErrorKind:
    if resolution is None:
        return ErrorKind(group, OPEN, None)
    returned = id_time(group.newest["id"]) > resolution.resolved_at
    return ErrorKind(group, REOPENED if returned else RESOLVED, resolution)


def _top(values: Iterable[Any]) -> list[tuple[str, int]]:
    return Counter(str(one) for one in values if one).most_common(_TOP)
