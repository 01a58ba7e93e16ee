from sqlalchemy import Engine, select

from app.logstore.record import normalise
from app.logstore.rows import (
    COLUMNS,
    INSERTED,
    column_for,
    details_key,
    from_row,
    postgresql_values,
    sqlite_values,
    to_row,
)  # fmt: skip
from app.models.log import Log
from tests.logstore.stores import sample


def test_a_row_has_a_value_for_each_column() -> None:
    row = to_row(normalise(sample()), "source", 5)
    assert set(INSERTED) == set(COLUMNS)
    for values in (sqlite_values(row), postgresql_values(row)):
        found = dict(zip(INSERTED, values, strict=True))
        assert (found["source"], found["seq"], found["message"]) == ("source", 5, "sample")


def test_a_row_written_by_the_model_reads_as_a_record(engine: Engine) -> None:
    if engine.dialect.name == "postgresql":
        return
    record = normalise(sample(details={"ä": 1}, exception={"type": "E"}))
    row = to_row(record.copy(), "source", 5)
    with engine.begin() as connection:
        insert = (
            f"INSERT INTO logs ({', '.join(INSERTED)}) VALUES ({','.join('?' * len(INSERTED))})"
        )
        connection.exec_driver_sql(insert, sqlite_values(row))
        found = connection.execute(select(*Log.__table__.c)).mappings().one()
    full = {"type": "E", "message": None, "traceback": None, "fingerprint": None}
    assert from_row(found) == {**record, "exception": full, "source": "source", "seq": 5}


def test_a_field_is_a_column_or_a_key_of_details() -> None:
    assert column_for("exception.type") == "exception_type"
    assert details_key("details.a.b") == "a.b"
    assert [details_key(field) for field in ("details", "details.", "level")] == [None] * 3
