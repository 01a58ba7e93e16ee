import base64
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.logstore.contract import Checkpoint
from app.logstore.sql_append import Appender
from tests.logstore.stores import SOURCE, open_engine, sample, stored


def refuse(engine: Engine, condition: str) -> None:
    """Have the database itself refuse rows: what no normaliser can foresee."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"ALTER TABLE logs ADD CONSTRAINT c CHECK (NOT ({condition}))"))
        else:
            row = condition.replace("message", "NEW.message")
            connection.execute(text(
                f"CREATE TRIGGER t BEFORE INSERT ON logs WHEN {row} "
                "BEGIN SELECT RAISE(ABORT, 'refused'); END"
            ))  # fmt: skip


def append(appender: Appender, *raws: dict[str, Any], seq: int = 1) -> list[str]:
    return appender.append(raws, Checkpoint(SOURCE, "a", 7, False, seq))


def test_one_record_that_the_store_refuses_is_stored_encoded_and_stops_nothing(
    engine: Engine,
) -> None:
    refuse(engine, "message LIKE 'poison%'")
    appender = Appender(engine)
    raws = [sample(message="poison" if index in {0, 41} else str(index)) for index in range(100)]
    new = append(appender, *raws)
    assert sorted(new) == sorted(raw["id"] for raw in raws)
    assert appender.refused == {"encoded": 2, "refused": 0}
    rows = dict(zip(stored(engine, "id"), stored(engine, "details"), strict=True))
    inside = json.loads(base64.b64decode(rows[raws[41]["id"]]["encoded"]))
    assert inside["message"] == "poison"
    assert stored(engine, "level").count("WARNING") == 2
    # Again, as after a lost answer: still once each.
    assert append(appender, *raws, seq=101) == []


def test_a_record_that_is_refused_in_every_form_is_counted_and_stops_nothing(
    engine: Engine,
) -> None:
    refuse(engine, "message LIKE 'poison%' OR message LIKE '%encoded'")
    appender = Appender(engine)
    append(appender, sample(message="poison"), sample(message="sound"))
    assert stored(engine) == ["sound"]
    assert appender.refused == {"encoded": 0, "refused": 1}


def test_a_kill_inside_a_batch_leaves_neither_records_nor_checkpoint(engine: Engine) -> None:
    # A batch that fails for another reason than its data is undone as a whole.
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE log_checkpoints"))
    appender = Appender(engine)
    with pytest.raises(SQLAlchemyError, match="log_checkpoints"):
        append(appender, sample())
    assert stored(engine) == []


def test_a_repeated_batch_with_numbers_used_before_tells_only_its_own_ids(engine: Engine) -> None:
    appender = Appender(engine)
    one, two = sample(), sample()
    append(appender, one)
    assert append(appender, two, seq=1) == [two["id"]]


def test_a_batch_that_is_there_in_part_tells_what_was_new(engine: Engine) -> None:
    # Of operations it is known before; of others, and within a batch, only by trying.
    appender = Appender(engine)
    raws = [sample(action="item_update" if index % 2 else None) for index in range(6)]
    ids = [raw["id"] for raw in raws]
    assert append(appender, raws[1]) == [ids[1]]
    assert append(appender, raws[1], raws[3], seq=2) == [ids[3]]
    assert append(appender, raws[0], raws[0], raws[3], seq=4) == [ids[0]]
    assert append(appender, *raws, seq=7) == [ids[2], ids[4], ids[5]]
    assert sorted(stored(engine, "id")) == sorted(ids)


def test_a_replayed_batch_with_what_the_store_refuses_is_still_stored(engine: Engine) -> None:
    refuse(engine, "message LIKE 'poison%'")
    appender = Appender(engine)
    known, poison = sample(), sample(message="poison")
    append(appender, known)
    assert append(appender, known, poison, seq=2) == [poison["id"]]


def test_two_writers_of_the_same_records_in_opposite_orders_never_deadlock(
    postgres_url: str,
) -> None:
    # Of two classes in turn, which are not written at once.
    actions = ["login", None] * 150
    rounds = [[sample(action=action) for action in actions] for _ in range(15)]
    engine = open_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    start = Barrier(2)

    def write(step: int) -> list[str]:
        appender = Appender(engine)
        new: list[str] = []
        for raws in rounds:
            start.wait()
            try:
                new += append(appender, *raws[::step])
            except SQLAlchemyError:
                # The other one is not to wait for ever.
                start.abort()
                raise
        return new

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(write, (1, -1))
    assert sorted(one + two) == sorted(raw["id"] for raws in rounds for raw in raws)
    engine.dispose()
