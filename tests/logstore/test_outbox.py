import pytest
from sqlalchemy import Engine, insert, text

from app.logstore.contract import StoreUnavailable
from app.logstore.outbox import remove, waiting
from app.models.outbox import OutboxRecord
from app.observability.ids import new_id
from tests.logstore.stores import line, open_engine, sample


def add(engine: Engine, row_id: str, record: str) -> None:
    with engine.begin() as connection:
        connection.execute(insert(OutboxRecord.__table__).values(id=row_id, record=record))


def test_rows_wait_oldest_first_until_they_are_removed(engine: Engine) -> None:
    records = [sample(message=str(index)) for index in range(3)]
    for record in reversed(records):
        add(engine, record["id"], line(record).decode())
    rows = waiting(engine)
    assert [record for _, record in rows] == records
    remove(engine, [rows[0][0], rows[2][0]])
    assert [row_id for row_id, _ in waiting(engine)] == [records[1]["id"]]


@pytest.mark.parametrize("content", ["", "not json", "[1]", '{"id": 5, "message": "kept"}'])
def test_a_row_of_any_content_becomes_a_record_with_the_row_s_id(
    engine: Engine, content: str
) -> None:
    row_id = new_id()
    add(engine, row_id, content)
    ((known, record),) = waiting(engine)
    assert known == record["id"] == row_id
    assert record["message"] in {"kept", "Unreadable outbox row"}


def test_a_database_without_the_table_says_what_to_do(database_url: str) -> None:
    engine = open_engine(database_url, tables=False)
    with pytest.raises(StoreUnavailable, match=r"^The database lacks .* `flask db upgrade`\.$"):
        waiting(engine)


def test_removing_nothing_is_fine(engine: Engine) -> None:
    remove(engine, [])
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM outbox")) == 0
