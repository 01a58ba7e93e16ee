import os
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.observability import ids
from app.observability.ids import id_floor, id_time, new_id

instants = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))


def test_an_id_is_a_uuid_of_version_7_with_the_time_in_it() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    made = new_id()
    value = uuid.UUID(made)
    assert (value.version, value.variant, str(value)) == (7, uuid.RFC_4122, made)
    assert before <= id_time(made) <= datetime.now(UTC)


def test_the_ids_of_a_process_grow() -> None:
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_threads_share_one_order() -> None:
    def burst(_: int) -> list[str]:
        return [new_id() for _ in range(5_000)]

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(burst, range(8)))
    assert all(some == sorted(some) for some in made)
    assert len({one for some in made for one in some}) == 40_000


def test_a_clock_that_is_set_back_does_not_reorder(monkeypatch: pytest.MonkeyPatch) -> None:
    first = new_id()
    past = time.time_ns() - 3_600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: past)
    made = [new_id() for _ in range(100)]
    assert [first, *made] == sorted([first, *made])


def test_a_clock_that_was_far_ahead_is_wrong_no_longer_than_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 10**18)
    new_id()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    made = [new_id() for _ in range(100)]
    assert id_time(made[0]).timestamp() == now // 1_000_000 / 1000
    assert made == sorted(set(made))


def test_a_millisecond_that_comes_again_gives_other_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    made = []
    for moment in (now, now + 3 * 10**9 * 86_400, now):
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment)
        made += [new_id() for _ in range(100)]
    assert made[0][:18] == made[200][:18]
    assert len(set(made)) == 300


def test_a_full_millisecond_goes_on_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    future = time.time_ns() + 10_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: future)
    monkeypatch.setattr("app.observability.ids._COUNTS", 2)
    made = [new_id() for _ in range(5)]
    assert made == sorted(set(made))
    assert id_time(made[-1]) > id_time(made[0])


def test_a_forked_child_makes_ids_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Like its parent it would go on, or wait for ever for its lock."""
    ahead = time.time_ns() // 1_000_000 + 1_000
    read, write = os.pipe()
    monkeypatch.setattr(time, "time_ns", lambda: ahead * 1_000_000)
    new_id()
    with ids._lock:
        # Both make the next identifier of the same millisecond.
        child = os.fork()
        if child == 0:
            signal.alarm(5)
            os.write(write, new_id().encode())
            os._exit(0)
        os.close(write)
        theirs = os.read(read, 36).decode()
        os.close(read)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ours = new_id()
    assert ours[:18] == theirs[:18]
    assert ours[19:] != theirs[19:]


@settings(derandomize=True, deadline=None)
@given(instants)
def test_the_floor_of_an_instant_is_its_smallest_id(instant: datetime) -> None:
    floor = id_floor(instant)
    assert id_time(floor) == instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    assert uuid.UUID(floor).version == 7
    later = id_floor(instant + timedelta(milliseconds=1))
    assert later > floor


def test_an_id_lies_between_the_floors_around_it() -> None:
    made = new_id()
    assert id_floor(id_time(made)) <= made < id_floor(id_time(made) + timedelta(milliseconds=1))
