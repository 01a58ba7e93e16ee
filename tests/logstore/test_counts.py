import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.logstore.contract import LogQuery
from app.logstore.counts import (
    ALL_STEPS,
    DAY,
    END,
    HOUR,
    MINUTE,
    NO_DURATION,
    STEPS,
    Selection,
    Tile,
    bounds_of,
    bucket,
    fingerprint_of,
    id_at,
    percentiles,
    second_of,
    selection_of,
    step_for,
    tally,
    tiles,
)
from app.logstore.record import derived_id

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DURATIONS = st.floats(0.001, 1e8)


@given(st.lists(DURATIONS, min_size=1), st.lists(DURATIONS), st.floats(0, 1))
def test_a_percentile_of_merged_buckets_is_within_5_percent(
    one: list[float], other: list[float], quantile: float
) -> None:
    merged = Counter(map(bucket, one)) + Counter(map(bucket, other))
    merged[NO_DURATION] += 3
    exact = sorted([*one, *other])[max(math.ceil(quantile * (len(one) + len(other))) - 1, 0)]
    found = percentiles(merged, [quantile])[quantile]
    assert found is not None
    assert abs(found - exact) <= 0.05 * exact


@pytest.mark.parametrize(
    ("fast", "slow", "p95"), [(0, 1, 1158), (1, 1, 1158), (5, 1, 1158), (18, 1, 1158), (19, 1, 5)]
)
def test_one_slow_request_among_few_is_their_p95(fast: int, slow: int, p95: float) -> None:
    buckets = {bucket(5): fast, bucket(1158): slow}
    assert percentiles(buckets, [0.95])[0.95] == pytest.approx(p95, rel=0.05)


def test_durations_that_are_none_have_a_place_too() -> None:
    assert [bucket(value) for value in (None, 0.0, -5.0, -1e14)] == [NO_DURATION, 0, 0, 0]
    assert bucket(1e14) == bucket(1e9)
    assert percentiles({NO_DURATION: 4}, [0.5]) == {0.5: None}
    assert percentiles({0: 4}, [0.5]) == {0.5: 0.0}


RECORDS = st.builds(
    lambda ms, duration, **fields: {
        "id": derived_id(NOON + timedelta(milliseconds=ms)), "duration_ms": duration, **fields,
    },
    st.integers(-200_000_000, 200_000_000), st.none() | st.floats(-1e3, 1e9),
    source=st.sampled_from("ab"), level=st.sampled_from(["INFO", "ERROR"]),
    action=st.sampled_from([None, "request"]), route=st.sampled_from([None, "/items"]),
    status=st.none() | st.integers(100, 999),
)  # fmt: skip


@given(st.lists(RECORDS))
def test_every_step_counts_every_record_once_and_batches_add_up(records: Any) -> None:
    counts = tally(records)
    for step in STEPS:
        assert sum(count for key, count in counts.items() if key.step == step) == len(records)
    for step in ALL_STEPS[: -len(STEPS)]:
        whole = {key: count for key, count in counts.items() if key.step == step}
        assert sum(count for key, count in whole.items() if not key.route) == len(records)
    half = len(records) // 2
    assert tally(records[:half]) + tally(records[half:]) == counts
    for key in counts:
        assert key.start % key.step == 0


def test_a_record_is_counted_at_the_time_of_its_id() -> None:
    record = {"id": derived_id(NOON + timedelta(minutes=61, seconds=5)), "source": "s",
              "level": "INFO", "action": None, "route": "/", "status": 503,
              "duration_ms": None, "exception_fingerprint": "f"}  # fmt: skip
    noon = int(NOON.timestamp())
    noon_or_later = noon + 61 * MINUTE
    starts = [noon + HOUR + MINUTE, noon + HOUR, noon - noon % DAY]
    steps = list(zip(STEPS, starts, strict=True))
    assert tally([record]) == {
        **{(step, start, "s", "INFO", "", "/", 5, "f", NO_DURATION): 1 for step, start in steps},
        **{
            (step, noon_or_later // -step * -step, "s", "INFO", "", "", 5, "", NO_DURATION): 1
            for step in ALL_STEPS
            if step < 0
        },
    }


@given(st.integers(0, END), st.integers(0, 9 * DAY), st.integers(0, 9), st.integers(0, 9))
def test_tiles_cover_a_range_once_outward_to_minutes_or_to_what_there_is(
    low: int, length: int, hours_gone: int, minutes_gone: int
) -> None:
    high = min(low + length, END)
    first = low // DAY * DAY
    horizons = {DAY: 0, HOUR: first + hours_gone * DAY,
                MINUTE: first + max(hours_gone, minutes_gone) * DAY}  # fmt: skip
    found = sorted(tiles(low, high, DAY, horizons), key=lambda tile: tile.low)
    for before, after in pairwise(found):
        assert before.high == after.low
    for tile in found:
        assert (tile.low % tile.step, tile.high % tile.step) == (0, 0)
        assert tile.low >= horizons[tile.step]
    if low < high:
        assert found[0].low <= low < found[0].low + DAY
        if low >= horizons[MINUTE]:
            assert found[0].low == low // MINUTE * MINUTE
        assert high <= found[-1].high < high + DAY
        assert len(found) <= 15
    else:
        assert found == []


def test_a_day_needs_few_counts_and_a_chart_gets_no_longer_ones_than_its_steps() -> None:
    there = dict.fromkeys(STEPS, 0)
    low, high = 2 * DAY + HOUR + MINUTE + 1, 5 * DAY + HOUR
    assert list(tiles(low, high, DAY, there)) == [
        Tile(MINUTE, 2 * DAY + HOUR + MINUTE, 2 * DAY + 2 * HOUR),
        Tile(HOUR, 2 * DAY + 2 * HOUR, 3 * DAY),
        Tile(DAY, 3 * DAY, 5 * DAY),
        Tile(HOUR, 5 * DAY, 5 * DAY + HOUR),
    ]
    assert {tile.step for tile in tiles(low, high, HOUR, there)} == {MINUTE, HOUR}


@pytest.mark.parametrize("hours", [0.1, 1, 6, 24, 7 * 24, 30 * 24, 365 * 24, 20_000])
def test_a_chart_has_at_most_100_points(hours: float) -> None:
    window = timedelta(hours=hours)
    step = step_for(window)
    assert step % MINUTE == 0
    assert window.total_seconds() / step <= 100
    assert step == MINUTE or window.total_seconds() / step >= 33


@pytest.mark.parametrize(
    ("query", "selection"),
    [
        (LogQuery(), Selection()),
        (LogQuery(levels=("error",), actions=("request",)), Selection(("ERROR",), ("request",))),
        (LogQuery(status_min=500), Selection(class_min=5)),
        (LogQuery(status_max=499), Selection(class_min=1, class_max=4)),
        (LogQuery(status_min=400, status_max=499), Selection(class_min=4, class_max=4)),
        (LogQuery(route="\0", without=(LogQuery(actions=("sample",)),)),
         Selection(without=(Selection(actions=("sample",)),), route="\ufffd")),
        (LogQuery(without=(LogQuery(user_id="7"),)), None),
        (LogQuery(without=(LogQuery(since=datetime(2026, 1, 1, tzinfo=UTC)),)), None),
        (LogQuery(equal=(("host", "a"),)), None),
        (LogQuery(max_duration_ms=9), None),
        (LogQuery(status_min=404, status_max=404), None),
        (LogQuery(status_min=0), None),
        (LogQuery(texts=("",)), Selection()),
        (LogQuery(texts=("x",)), None),
        (LogQuery(user_id="7"), None),
        (LogQuery(account="a@b.c"), None),
        (LogQuery(request_id="r"), None),
        (LogQuery(fingerprint="f"), Selection(failed=True, fingerprint="f")),
        (LogQuery(min_duration_ms=0), None),
    ],
)  # fmt: skip
def test_counts_know_level_action_route_and_whole_status_classes(
    query: LogQuery, selection: Selection | None
) -> None:
    assert selection_of(query) == selection


@given(st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)))
def test_a_time_is_the_same_in_ids_and_in_counts(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    second = second_of(derived_id(moment))
    assert second == int(moment.timestamp())
    assert id_at(second) <= derived_id(moment) < id_at(second + 1)
    low, high = bounds_of(LogQuery(since=moment, until=moment + timedelta(seconds=1)))
    assert low == second
    assert high in {second + 1, second + 2}


@pytest.mark.parametrize(
    ("record", "fingerprint"),
    [
        ({"exception": {"type": "E", "fingerprint": "f"}}, "f"),
        ({"exception_fingerprint": "f"}, "f"),
        ({"exception": {"type": "E", "fingerprint": None}}, ""),
        ({"exception": None, "exception_fingerprint": None}, ""),
        ({}, ""),
    ],
)
def test_a_fingerprint_is_found_in_a_record_and_in_what_a_store_keeps(
    record: dict[str, Any], fingerprint: str
) -> None:
    assert fingerprint_of(record) == fingerprint
