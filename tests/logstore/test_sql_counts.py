from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, inspect, text

from app.logstore.counts import Key, Selection, Tile, tally
from app.logstore.sql_counts import SqlCounts, add_counts
from tests.logstore.stores import sample

RECORD = {"source": "s", "action": "request", "route": "/größe", "status": 200, "duration_ms": 5.0}


def record(**fields: object) -> dict[str, object]:
    return {**sample(), **RECORD, **fields}


@pytest.fixture
def counts(engine: Engine) -> Iterator[SqlCounts]:
    with engine.begin() as connection:
        yield SqlCounts(connection)


def test_counts_add_up_in_one_row_for_each_key(engine: Engine) -> None:
    added = tally([record(), record(source="t")])
    with engine.begin() as connection:
        for _ in range(3):
            add_counts(connection, added)
        add_counts(connection, {})
    with engine.begin() as connection:
        found = dict(SqlCounts(connection).stored(0, 2**40))
    assert found == {key: 3 * count for key, count in added.items()}


def test_sums_are_whole_numbers_by_start_and_fields(counts: SqlCounts) -> None:
    key = Key(60, 120, "s", "INFO", "request", "/a", 2, "", 5)
    counts.add({key: 2, key._replace(source="t"): 3, key._replace(start=180, bucket=6): 4})
    chosen, tile = Selection(class_min=2), Tile(60, 0, 240)
    assert list(counts.sums(chosen, [tile], ["route"], 120)) == [(120, "/a", 9)]
    assert list(counts.histograms(chosen, [tile], ["route"], 120)) == [(120, "/a", {5: 5, 6: 4})]
    none = Selection(("ERROR",))
    assert list(counts.sums(none, [tile], [], None)) == [(0,)]
    assert list(counts.histograms(none, [tile], [], None)) in ([], [({},)])


def test_what_was_taken_back_is_in_no_bucket(counts: SqlCounts) -> None:
    key = Key(60, 120, "s", "INFO", "request", "/a", 2, "", 5)
    counts.add({key: 2, key._replace(bucket=6): 1})
    counts.add({key: -2})
    assert list(counts.histograms(Selection(), [Tile(60, 0, 240)], [], None)) == [({6: 1},)]


def test_sqlite_keeps_the_counts_in_their_key_and_postgresql_leaves_room(engine: Engine) -> None:
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            sql = "SELECT reloptions FROM pg_class WHERE relname = 'log_counts'"
            assert connection.scalar(text(sql)) == ["fillfactor=70"]
        else:
            sql = "SELECT sql FROM sqlite_master WHERE name = 'log_counts'"
            assert "WITHOUT ROWID" in str(connection.scalar(text(sql)))
    assert len(inspect(engine).get_indexes("log_counts")) == 1
