from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, Table, create_engine
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import StatementError

from app.models.types import UtcDateTime, utc_now

MOMENTS = Table("moments", MetaData(), Column("at", UtcDateTime()))


def through(url: str, *values: datetime | None) -> list[datetime | None]:
    engine = create_engine(url)
    with engine.begin() as connection:
        MOMENTS.create(connection)
        connection.execute(MOMENTS.insert(), [{"at": value} for value in values])
        found = list(connection.execute(MOMENTS.select()).scalars())
    engine.dispose()
    return found


def test_an_instant_comes_back_in_utc_from_each_database(database_url: str) -> None:
    here = datetime(2026, 7, 1, 12, 30, 15, 123456, timezone(timedelta(hours=5, minutes=30)))
    found = through(database_url, here, None)
    assert found == [here, None]
    assert found[0] is not None
    assert found[0].tzinfo is UTC
    assert found[0].isoformat() == "2026-07-01T07:00:15.123456+00:00"


@settings(derandomize=True, deadline=None, max_examples=50)
@given(
    st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9999, 12, 30)),
    st.integers(-14 * 60, 14 * 60),
)
def test_no_zone_changes_the_instant(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    kind, dialect = UtcDateTime(), sqlite.dialect()
    bound = kind.process_bind_param(aware, dialect)
    assert kind.process_result_value(bound.replace(tzinfo=None), dialect) == aware


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(StatementError, match="ambiguous"):
        through("sqlite://", datetime(2026, 1, 1))


def test_now_is_in_utc() -> None:
    before = datetime.now(UTC)
    assert utc_now() - before < timedelta(seconds=5)
    assert utc_now().tzinfo is UTC
