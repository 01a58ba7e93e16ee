"""What a log store tells of errors, grouped by the fingerprint of their exception."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

# A busy error has more occurrences than anybody waits for to be looked at.
USERS_AMONG = 500


@dataclass(frozen=True)
class ErrorGroup:
    """What happened to one error: the records that share a fingerprint.

    `counts` has one number for each step of the time asked for. `first` and `newest` are the
    oldest and the newest record there is, without traceback; `counted_since` is the day of the
    first one that was ever counted, of which the record may be gone. `users` is how many
    different ones the newest `USERS_AMONG` records of the time name.
    """

    fingerprint: str
    counts: Sequence[int]
    counted_since: datetime
    first: Mapping[str, Any]
    newest: Mapping[str, Any]
    users: int

    @property
    def count(self) -> int:
        """Return how often it happened in the time asked for."""
        return sum(self.counts)


@dataclass(frozen=True)
class ErrorGroups:
    """The errors of a time, the newest first; `starts` has the start of each step.

    `left_out` is how many more there were than asked for.
    """

    groups: list[ErrorGroup]
    starts: Sequence[datetime]
    left_out: int = 0


class Occurrences(NamedTuple):
    """What the records of one fingerprint say, of which `ErrorGroup` says more."""

    first: Mapping[str, Any]
    newest: Mapping[str, Any]
    users: int


def by_fingerprint(
    rows: Iterable[tuple[Any, ...]], starts: range, fingerprint: str | None = None
) -> dict[str, list[int]]:
    """Turn (start, fingerprint, count) into each one's counts, what happened last first.

    With a `fingerprint` it is there even without a count.
    """
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * len(starts))
    if fingerprint is not None:
        counts[fingerprint][0] = 0
    for start, name, count in rows:
        counts[name][(max(start, starts[0]) - starts[0]) // starts.step] += count
    # Of the same step first what happened more often: which was last only the records tell.
    names = sorted(counts, key=lambda one: counts[one][::-1], reverse=True)
    return {name: counts[name] for name in names}


def in_order(
    counts: Mapping[str, Sequence[int]],
    days: Mapping[str, int],
    found: Mapping[str, Occurrences],
) -> list[ErrorGroup]:
    """Put together what is known of each fingerprint that was found, the newest first."""
    groups = [
        ErrorGroup(name, counts[name], datetime.fromtimestamp(days.get(name, 0), UTC), *occurrences)
        for name, occurrences in found.items()
    ]
    return sorted(groups, key=lambda one: str(one.newest["id"]), reverse=True)
