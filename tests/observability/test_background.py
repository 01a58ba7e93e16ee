import threading
import time

import pytest

from app.observability.background import Call, Calls
from tests.helpers import wait_for


def test_a_call_brings_its_result_and_its_duration() -> None:
    call = Call(lambda: 42)
    assert call.wait(5)
    assert (call.result, call.error) == (42, None)
    assert call.duration_ms >= 0


def test_a_call_brings_its_error() -> None:
    call = Call(lambda: 1 / 0)
    assert call.wait(5)
    assert isinstance(call.error, ZeroDivisionError)


def test_who_asks_again_for_a_call_that_hangs_does_not_wait_again() -> None:
    release = threading.Event()
    calls = Calls()
    try:
        first = calls.start("slow", lambda: release.wait(30))
        assert not first.wait(0.1)
        started = time.monotonic()
        again = calls.start("slow", lambda: release.wait(30))
        assert again is first
        assert not again.wait(0.1)
        assert time.monotonic() - started < 0.09
    finally:
        release.set()
    wait_for(first.finished.is_set)
    assert calls.start("slow", lambda: True) is not first


def test_a_call_that_never_comes_back_is_given_up_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()
    calls = Calls()
    monkeypatch.setattr("app.observability.background._GIVEN_UP_AFTER", 0.0)
    try:
        hanging = {calls.start("dead", lambda: release.wait(30)) for _ in range(20)}
        assert len(hanging) == 6
    finally:
        release.set()
    wait_for(lambda: all(one.finished.is_set() for one in hanging))
    assert calls.start("dead", lambda: 1).wait(5)


def test_a_hanging_call_does_not_stop_others() -> None:
    release = threading.Event()
    calls = Calls()
    try:
        calls.start("slow", lambda: release.wait(30))
        assert calls.start("quick", lambda: 1).wait(5)
    finally:
        release.set()


def test_a_hanging_call_does_not_keep_the_process_alive() -> None:
    release = threading.Event()
    try:
        Call(lambda: release.wait(30))
        (thread,) = [one for one in threading.enumerate() if one.name == "background-call"]
        assert thread.daemon
    finally:
        release.set()
