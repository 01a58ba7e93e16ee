import re

from sqlalchemy import Engine, event

from app.logstore.record import normalise
from app.logstore.sql_occurrences import read_occurrences
from app.logstore.sql_store import SqlStore
from app.observability.ids import id_floor
from tests.logstore.filtered import minutes
from tests.logstore.stores import put, sample


def failed(fingerprint: str, minute: float, **fields: object) -> dict[str, object]:
    exception = {"type": "E", "traceback": "t" * 9, "fingerprint": fingerprint}
    return sample(minutes(minute), level="ERROR", exception=exception, **fields)


def test_an_exception_is_looked_up_without_its_traceback(engine: Engine) -> None:
    first, newest = failed("f", 1), failed("f", 2, user_id="7")
    put(SqlStore(engine), newest, first)
    with engine.connect() as connection:
        assert read_occurrences(connection, [], id_floor(minutes(0))) == {}
        found = read_occurrences(connection, ["f", "g"], id_floor(minutes(0)))
    assert set(found) == {"f"}
    assert [found["f"].first["id"], found["f"].newest["id"]] == [first["id"], newest["id"]]
    assert (found["f"].newest["exception"] or {})["traceback"] is None
    assert normalise(dict(found["f"].first))["exception"]["type"] == "E"


def test_sqlite_answers_from_the_index_alone(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return
    asked: list[tuple[str, object]] = []
    event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2:4]))
    with engine.connect() as connection:
        read_occurrences(connection, ["f"], id_floor(minutes(0)))
        statement, values = asked[0]
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    used = [text for *_, text in plan if re.search("USING .*INDEX", text)]
    assert len(used) == 3
    assert all("COVERING INDEX ix_logs_exception_fingerprint_id" in text for text in used), used
