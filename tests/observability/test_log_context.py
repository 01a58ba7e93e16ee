import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.observability.log_context import (
    RESERVED,
    ContextLogger,
    bind,
    bound,
    current,
    fields_of,
    in_except,
    log_whatever_the_level,
    reset,
    safe_extra,
)
from tests import hostile


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        vars(record).update(dict(fields_of(record)))
        self.records.append(record)


@pytest.fixture(autouse=True)
def known_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have logging find out where it was called, as it does by default."""
    monkeypatch.setattr(logging, "_srcfile", logging.Logger.info.__code__.co_filename)


@pytest.fixture
def kept() -> Iterator[Kept]:
    logger, handler = logging.getLogger("shop"), Kept()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


LOGGER = logging.getLogger("shop")


def test_bound_fields_are_on_every_record_also_of_child_loggers(kept: Kept) -> None:
    with bound(request_id="r1", user_id="7"):
        LOGGER.info("one")
        logging.getLogger("shop.cart").info("two")
    assert [(one.request_id, one.user_id) for one in kept.records] == [("r1", "7")] * 2


def test_what_a_record_says_itself_wins_over_what_is_bound(kept: Kept) -> None:
    with bound(user_id="7"):
        LOGGER.info("one", extra={"user_id": "8"})
    assert kept.records[0].user_id == "8"


def test_reset_undoes_its_bind_and_every_later_one() -> None:
    token = bind(request_id="outer")
    bind(request_id="inner", user_id="7")
    assert current() == {"request_id": "inner", "user_id": "7"}
    reset(token)
    assert current() == {}


def test_a_block_that_raises_leaves_nothing_bound() -> None:
    with pytest.raises(ValueError), bound(request_id="r1"):
        raise ValueError
    assert current() == {}


def test_a_context_logger_adds_its_context_and_the_call_wins(kept: Kept) -> None:
    log = ContextLogger(LOGGER, {"user_id": 7, "item_id": 42})
    log.info("one", extra={"item_id": 43})
    (record,) = kept.records
    assert (record.user_id, record.item_id) == (7, 43)
    assert record.funcName == "test_a_context_logger_adds_its_context_and_the_call_wins"


def test_error_adds_the_exception_only_inside_an_except(kept: Kept) -> None:
    log = ContextLogger(LOGGER, {})
    log.error("outside")
    try:
        raise ValueError("inside")
    except ValueError:
        log.error("inside")
        log.error("told not to", exc_info=False)
        log.info("no error")
    outside, inside, told, info = kept.records
    assert not outside.exc_info
    assert inside.exc_info[0] is ValueError
    assert not told.exc_info
    assert not info.exc_info
    assert inside.funcName == "test_error_adds_the_exception_only_inside_an_except"
    assert not in_except()


def test_free_text_obeys_the_level_and_events_do_not(kept: Kept) -> None:
    LOGGER.setLevel(logging.ERROR)
    ContextLogger(LOGGER, {}).info("free")
    ContextLogger(LOGGER, {"action": "sell"}).info("event %s", 1)
    assert [one.getMessage() for one in kept.records] == ["event 1"]


@pytest.mark.parametrize("how", [True, "exception", "tuple"])
def test_a_record_past_the_level_carries_its_exception(kept: Kept, how: Any) -> None:
    LOGGER.setLevel(logging.CRITICAL)
    try:
        raise ValueError
    except ValueError as error:
        told = {"exception": error, "tuple": (ValueError, error, None)}.get(how, True)
        log_whatever_the_level(LOGGER, logging.ERROR, "failed", exc_info=told)
    assert kept.records[0].exc_info[0] is ValueError


def test_a_reserved_name_in_extra_is_kept_under_another(kept: Kept) -> None:
    ContextLogger(LOGGER, {"name": "chair", "message": "hello", "args": 1}).info("sold")
    (record,) = kept.records
    assert (record.name_, record.message_, record.args_) == ("chair", "hello", 1)
    assert record.name == "shop"


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.dictionaries(hostile.names, hostile.scalars, max_size=5))
def test_no_extra_raises_into_the_caller(fields: dict[str, Any]) -> None:
    kept = Kept()
    logger = logging.Logger("any")
    logger.addHandler(kept)
    ContextLogger(logger, fields).info("one", extra=fields)
    assert len(kept.records) == 1
    assert not set(safe_extra(fields)) & RESERVED
