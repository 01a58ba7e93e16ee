"""What the log tells at a glance: the key figures over a window, and what stands out in it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.logstore.counts import moment_of
from app.logstore.measures import measures
from app.services import log_figures
from app.services.key_figures import KINDS, Kind, Stretch
from app.services.log_recorder import Host, Recorder, alive, hosts, newest_samples, recorder
from app.services.log_service import LogQuery, Record
from app.services.log_standouts import Standouts, standouts

HOUR = 3600
_NOW = timedelta(minutes=5)
_RARE = ("login_failed", "email_sent", "email_failed")
_ACTIONS = ("request", "sample", *_RARE)
_FIELDS = ("action", "measure", "status_class")


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


@dataclass(frozen=True)
class Figure:
    """One key figure: `value` now, None where nothing is known; `since` when it is `over`.

    `points` has the start of each step with the value of it, oldest first.
    """

    name: str
    unit: str
    value: float | None
    limit: float | None
    over: bool
    lowest: bool
    since: datetime | None
    points: list[tuple[datetime, float | None]]


def figures(window: Window, now: datetime, samples: Iterable[Record]) -> list[Figure]:
    """Return the ten key figures; `samples` are those of the processes that are alive."""
    steps, hours = _steps(window, now)
    five_minutes, hour = _recent(now, _NOW, _ACTIONS), _recent(now, timedelta(hours=1), _RARE)
    sampled = [dict(measures(one)) for one in samples]
    return [
        _figure(
            kind,
            _now(kind, hour if kind.hourly else five_minutes, sampled),
            [(moment_of(start), kind.ask(one))
             for start, one in (hours if kind.hourly else steps).items()],
        )
        for kind in KINDS
    ]  # fmt: skip


def _figure(kind: Kind, value: float | None, points: list[tuple[datetime, float | None]]) -> Figure:
    over = kind.exceeds(value)
    since = None
    for start, then in reversed(points) if over else ():
        # Where nothing was counted it was not any better.
        if then is not None and not kind.exceeds(then):
            break
        since = start if then is not None else since
    return Figure(kind.name, kind.unit, value, kind.limit, over, kind.lowest, since, points)


def _now(kind: Kind, recent: Stretch, sampled: Sequence[Mapping[str, float]]) -> float | None:
    if kind.measure is None:
        return kind.ask(recent)
    # Buckets are within 5 %; what processes just said is exact.
    values = [one[kind.measure] for one in sampled if kind.measure in one]
    return (min if kind.lowest else max)(values, default=None)


def _recent(now: datetime, span: timedelta, actions: tuple[str, ...]) -> Stretch:
    # Counts are of whole minutes.
    since = (now - span).replace(second=0, microsecond=0)
    query = LogQuery(actions=actions, since=since, until=now)
    return Stretch((now - since) / timedelta(minutes=1), log_figures.buckets(query, _FIELDS))


def _steps(window: Window, now: datetime) -> tuple[dict[int, Stretch], dict[int, Stretch]]:
    """Return each step of a window, and the hour up to the end of each if that is longer."""
    starts, step = window.starts(now), window.step
    before = max(HOUR - step, 0)
    query = LogQuery(
        actions=_ACTIONS,
        since=moment_of(starts[0] - before),
        # To the end of the step: the rest of it is not put together from minutes then.
        until=moment_of(starts[-1] + step),
    )
    found: dict[int, dict[tuple[Any, ...], Counter[int]]] = defaultdict(dict)
    for (start, *key), buckets in log_figures.buckets(query, _FIELDS, step).items():
        found[start][tuple(key)] = Counter(buckets)

    def stretch(start: int, end: int) -> Stretch:
        merged: dict[tuple[Any, ...], Counter[int]] = defaultdict(Counter)
        for one in range(start, end, step):
            for key, buckets in found[one].items():
                merged[key].update(buckets)
        return Stretch((min(end, now.timestamp()) - start) / 60, merged)

    steps = {start: stretch(start, start + step) for start in starts}
    if not before:
        return steps, steps
    return steps, {start: stretch(start - before, start + step) for start in starts}


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
    samples = newest_samples(now)
    found, seen = figures(window, now, alive(samples, now)), hosts(samples, now)
    return Overview(
        window=name,
        since=since,
        until=now,
        empty=not seen and all(value is None or not value for one in found
                               for _, value in one.points),
        figures=found,
        standouts=standouts(since, until),
        hosts=seen,
        recorder=recorder(now),
    )  # fmt: skip
