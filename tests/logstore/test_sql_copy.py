from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError

from app.logstore import sql_copy
from app.logstore.contract import Checkpoint
from app.logstore.partitions import WIDTHS
from app.logstore.sql_append import Appender
from app.logstore.sql_copy import in_order
from tests.logstore.stores import SOURCE, open_engine, sample, stored

NOW = datetime(2026, 11, 23, 17, tzinfo=UTC)


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    engine = open_engine(url.render_as_string(hide_password=False))
    yield engine
    engine.dispose()


def checkpoint(seq: int) -> Checkpoint:
    return Checkpoint(SOURCE, "a", 7, False, seq)


def test_after_the_first_batch_each_goes_the_fast_way(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    appender = Appender(engine)
    line = sample(NOW, action="login", message="twice")
    appender.append([sample(NOW), line], checkpoint(1))
    monkeypatch.setattr(Appender, "_insert", lambda *_: pytest.fail("the slow way"))
    # As days go by the next partition is needed; operations come again from the outbox.
    later = NOW + WIDTHS["info"]
    records = [line, sample(later, message="1", action="login"), sample(later, message="2")]
    assert appender.append(records, checkpoint(3)) == [records[2]["id"], records[1]["id"]]
    assert appender.append([line], checkpoint(6)) == []
    assert sorted(stored(engine)) == ["1", "2", "sample", "twice"]
    # Each has the number of its place in the batch, in whatever order they were written.
    assert sorted(stored(engine, "seq")) == [1, 2, 4, 5]


def test_a_record_is_written_before_the_next_is_made_ready(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def normalise(raw: Mapping[str, Any], real: Any = sql_copy.normalise) -> Any:
        order.append(f"ready {raw['message']}")
        return real(raw)

    def values(row: Mapping[str, Any], real: Any = sql_copy.postgresql_values) -> Any:
        order.append(f"written {row['message']}")
        return real(row)

    monkeypatch.setattr(sql_copy, "normalise", normalise)
    monkeypatch.setattr(sql_copy, "postgresql_values", values)
    moments = [NOW + timedelta(seconds=number) for number in range(3)]
    records = [sample(one, message=str(number)) for number, one in enumerate(moments)]
    Appender(engine).append(reversed(records), checkpoint(1))
    assert order[:5] == ["ready 0", "written 0", "ready 1", "written 1", "ready 2"]


def test_a_server_that_goes_away_in_a_batch_is_the_reason_and_the_next_batch_is_stored(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    appender = Appender(engine)
    appender.append([sample(NOW, message="first")], checkpoint(1))

    def cut_off(raw: Mapping[str, Any], real: Any = sql_copy.normalise) -> Any:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        with engine.connect() as other:
            other.execute(
                text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
            )
        return real(raw)

    records = [sample(NOW + timedelta(seconds=one), message=f"{one}") for one in range(500)]
    with monkeypatch.context() as patched:
        patched.setattr(sql_copy, "normalise", cut_off)
        with pytest.raises(DBAPIError, match=r"terminating connection|server closed"):
            appender.append(records, checkpoint(2))
    assert stored(engine) == ["first"]
    assert len(appender.append(records, checkpoint(2))) == 500


def test_rows_that_are_written_one_by_one_come_in_the_same_order() -> None:
    rows = [{"id": one[0], "keep": one[1:]} for one in ("1operation", "3info", "2error")]
    assert [row["id"] for row in sorted(rows, key=in_order)] == ["2", "3", "1"]
