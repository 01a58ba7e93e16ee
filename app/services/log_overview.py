"""What the log tells at a glance: the key figures over a window, and what stands out in it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.logstore import current_store
from app.logstore.counts import Buckets, merged, moment_of
from app.logstore.measures import measures
from app.services import log_figures
from app.services.key_figures import FAILED, KINDS, Found, Kind, Stretch
from app.services.log_recorder import Host, Recorder, alive, hosts, newest_samples, recorder
from app.services.log_service import LogQuery, Record
from app.services.log_standouts import Standouts, standouts

HOUR = 3600
_NOW = timedelta(minutes=5)
_RARE = ("login_failed", "email_sent", "email_failed")
_ACTIONS = ("request", "sample", *_RARE)


@dataclass(frozen=True)
class Window:
    """Name a stretch of time up to now and the steps, in seconds, of its charts.

    24 to 30 steps, in each of which few counts have to be read.
    """

    name: str
    seconds: int
    step: int

    def starts(self, now: datetime) -> range:
        """Return where each step starts, in epoch seconds; the last one is not over yet."""
        second = int(now.timestamp())
        return range((second - self.seconds) // self.step * self.step, second + 1, self.step)


WINDOWS = {
    window.name: window
    for window in (
        Window("1h", HOUR, 120), Window("6h", 6 * HOUR, 900), Window("24h", 24 * HOUR, HOUR),
        Window("7d", 7 * 24 * HOUR, 6 * HOUR), Window("30d", 30 * 24 * HOUR, 24 * HOUR),
    )
}  # fmt: skip
DEFAULT = "24h"


@dataclass(frozen=True)
class Figure:
    """One key figure: `value` now, None where nothing is known; `since` when it is `over`.

    The value is of the records from `counted_since` on. `points` has the start of each step with
    the value of it, oldest first.
    """

    name: str
    unit: str
    value: float | None
    counted_since: datetime
    limit: float | None
    over: bool
    lowest: bool
    since: datetime | None
    also: dict[str, float | None]
    points: list[tuple[datetime, float | None]]


def figures(window: Window, now: datetime, samples: Iterable[Record]) -> list[Figure]:
    """Return the ten key figures; `samples` are those of the processes that are alive."""
    steps, hours = _steps(window, now)
    # Counts are of whole minutes.
    minute = now.replace(second=0, microsecond=0)
    ends = {False: minute - _NOW, True: minute - timedelta(seconds=HOUR)}
    recent = {False: _recent(now, ends[False], _ACTIONS), True: _recent(now, ends[True], _RARE)}
    sampled = [dict(measures(one)) for one in samples]
    found = []
    for kind in KINDS:
        points = [
            (moment_of(start), kind.ask(one))
            for start, one in (hours if kind.hourly else steps).items()
        ]
        then = recent[kind.hourly]
        value = _now(kind, then, sampled)
        found.append(_figure(kind, value, ends[kind.hourly], then, points))
    return found


def _figure(
    kind: Kind,
    value: float | None,
    counted_since: datetime,
    recent: Stretch,
    points: list[tuple[datetime, float | None]],
) -> Figure:
    over = kind.exceeds(value)
    since = None
    for start, then in reversed(points) if over else ():
        # Where nothing was counted it was not any better.
        if then is not None and not kind.exceeds(then):
            break
        since = start if then is not None else since
    return Figure(
        name=kind.name,
        unit=kind.unit,
        value=value,
        counted_since=counted_since,
        limit=kind.limit,
        over=over,
        lowest=kind.lowest,
        since=since,
        also={name: ask(recent) for name, ask in kind.also.items()},
        points=points,
    )


def _now(kind: Kind, recent: Stretch, sampled: Sequence[Mapping[str, float]]) -> float | None:
    if kind.measure is None:
        return kind.ask(recent)
    # Buckets are within 5 %; what processes just said is exact.
    values = [one[kind.measure] for one in sampled if kind.measure in one]
    return (min if kind.lowest else max)(values, default=None)


def _recent(now: datetime, since: datetime, actions: tuple[str, ...]) -> Stretch:
    query = LogQuery(actions=actions, since=since, until=now)
    found = _counted(query, None).get(0, {})
    # What is told by the hour is a whole number: of an hour, and of the minute that is not over.
    minutes = min((now - since) / timedelta(minutes=1), HOUR / 60)
    return Stretch(minutes, found)


def _steps(window: Window, now: datetime) -> tuple[dict[int, Stretch], dict[int, Stretch]]:
    """Return each step of a window, and the hour up to the end of each if that is longer."""
    starts, step = window.starts(now), window.step
    before = max(HOUR - step, 0)
    # To the end of the last step: what is left of it would be put together from minutes.
    since, until = moment_of(starts[0] - before), moment_of(starts[-1] + step)
    found = _counted(LogQuery(actions=_ACTIONS, since=since, until=until), step)

    def until_now(start: int, end: int) -> float:
        # At least a second: a step that begins now has no length yet.
        return max(min(end, now.timestamp()) - start, 1) / 60

    steps = {
        start: Stretch(until_now(start, start + step), found.get(start, {})) for start in starts
    }
    if not before:
        return steps, steps
    rare = {start: {key: one[key] for key in one if key[0] in _RARE}
            for start, one in found.items()}  # fmt: skip
    hours = {
        start: Stretch(
            until_now(start - before, start + step),
            _merged(rare.get(one, {}) for one in range(start - before, start + step, step)),
        )
        for start in starts
    }
    return steps, hours


def _counted(query: LogQuery, step: int | None) -> Mapping[int, Found]:
    """Return what was counted in each step, by its start; without a step, all by 0."""
    parts: dict[int, list[tuple[tuple[str, str | None], Buckets]]] = defaultdict(list)
    fields = ("action", "measure", "status_class")
    for key, buckets in log_figures.buckets(query, fields, step).items():
        *start, action, measure, status_class = key
        part = parts[start[0] if start else 0]
        if (action, status_class) == ("request", 5):
            part.append(((FAILED, None), dict(buckets)))
        part.append(((action, measure), buckets))
    return {start: merged(part) for start, part in parts.items()}


def _merged(found: Iterable[Found]) -> Found:
    return merged((key, dict(buckets)) for one in found for key, buckets in one.items())


@dataclass(frozen=True)
class Overview:
    """Everything that the overview shows, and for when."""

    window: str
    since: datetime
    until: datetime
    empty: bool
    figures: list[Figure]
    standouts: Standouts
    hosts: list[Host]
    recorder: Recorder


def overview(name: str, now: datetime) -> Overview:
    """Return how the application is and was in a window; raises KeyError for one that is none."""
    window = WINDOWS[name]
    starts = window.starts(now)
    since, until = moment_of(starts[0]), moment_of(starts[-1] + window.step)
    # So many questions would each ask first whether their connection is still alive.
    with current_store().together():
        samples = newest_samples(now)
        found, standing = figures(window, now, alive(samples, now)), standouts(since, until)
        recording = recorder(now)
    seen = hosts(samples, now)
    return Overview(
        window=name,
        since=since,
        until=now,
        empty=not seen and all(value is None or not value for one in found
                               for _, value in one.points),
        figures=found,
        standouts=standing,
        hosts=seen,
        recorder=recording,
    )  # fmt: skip
