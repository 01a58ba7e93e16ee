from sqlalchemy import Engine

from app.logstore.sql_retention import delete_records, read_expired, take_lease
from app.logstore.sql_store import SqlStore
from tests.logstore.stores import put, sample

LAST = "ffffffff-ffff-7fff-bfff-ffffffffffff"


def test_nothing_is_done_before_the_transaction_ends(engine: Engine) -> None:
    store = SqlStore(engine)
    (record_id,) = put(store, sample())
    with engine.connect() as connection:
        assert [one["id"] for one in read_expired(connection, "info", LAST, None, 9)] == [record_id]
        assert delete_records(connection, "info", [record_id]) == 1
        assert take_lease(connection, "work", "a", 60)
        connection.rollback()
    assert store.get(record_id) is not None
    assert store.lease("work", "b", 60)
