import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from limits import parse

from app.services.throttle import Limit, TooManyAttempts, give_back, network, take

TWICE = Limit("twice", parse("2 per minute"))
OFTEN = Limit("often", parse("5 per 2 minutes"))
limited = pytest.mark.settings(RATELIMIT_ENABLED=True)


@limited
def test_attempts_up_to_the_limit_pass_and_the_next_says_when_to_come_back(
    app_context: Flask,
) -> None:
    take((TWICE, "ann"))
    take((TWICE, "ann"))
    with pytest.raises(TooManyAttempts) as refused:
        take((TWICE, "ann"))
    assert 1 <= refused.value.retry_after <= 60
    assert refused.value.status == 429
    assert refused.value.message == "Too many attempts. Please try again in 1 minute."


@limited
def test_limits_and_keys_count_apart(app_context: Flask) -> None:
    for _ in range(2):
        take((TWICE, "ann"))
        take((TWICE, "ben"))
        take((OFTEN, "ann"))
    take((OFTEN, "ann"))


@limited
def test_a_refused_attempt_counts_on_no_limit_after_the_one_that_refused(
    app_context: Flask,
) -> None:
    for _ in range(2):
        take((TWICE, "here"))
    for _ in range(6):
        with pytest.raises(TooManyAttempts):
            take((TWICE, "here"), (OFTEN, "ann"))
    for _ in range(5):
        take((OFTEN, "ann"))
    with pytest.raises(TooManyAttempts) as refused:
        take((OFTEN, "ann"))
    assert 60 < refused.value.retry_after <= 120


@limited
def test_what_is_given_back_may_be_taken_again(app_context: Flask) -> None:
    for _ in range(10):
        take((TWICE, "ann"), (OFTEN, "ann"))
        give_back((TWICE, "ann"), (OFTEN, "ann"))


def test_nothing_is_counted_where_limits_are_off(app_context: Flask) -> None:
    for _ in range(5):
        take((TWICE, "ann"))
        give_back((TWICE, "ann"))


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("no address", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_address_counts_as_what_one_person_has(address: str | None, counted_as: str) -> None:
    assert network(address) == counted_as


@given(st.text())
def test_any_text_in_place_of_an_address_is_counted(text: str) -> None:
    assert network(text)


@pytest.mark.parametrize(("seconds", "said"), [(1, "1 minute"), (61, "2 minutes"), (900, "15")])
def test_the_wait_is_told_in_minutes(seconds: int, said: str) -> None:
    assert f"again in {said}" in TooManyAttempts(seconds).message
