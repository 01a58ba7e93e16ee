import pytest
from sqlalchemy import Engine, exc, text

from app.logstore.contract import StoreUnavailable
from app.logstore.sql_errors import (
    is_taken,
    lacks_partition,
    lacks_tables,
    refuses_data,
    store_errors,
)


def failure(engine: Engine, sql: str, values: tuple[object, ...] = ()) -> Exception:
    with (
        pytest.raises((exc.SQLAlchemyError, OverflowError)) as caught,
        engine.begin() as connection,
    ):
        connection.exec_driver_sql(sql, values)
    return caught.value


def test_a_missing_table_or_column_is_no_fault_of_the_data(engine: Engine) -> None:
    for sql in ("INSERT INTO nowhere VALUES (1)", "SELECT nowhere FROM logs"):
        error = failure(engine, sql)
        assert lacks_tables(error)
        assert not refuses_data(error)


def test_a_broken_constraint_is_the_data_s_fault(engine: Engine) -> None:
    mark = "?" if engine.dialect.name == "sqlite" else "%s"
    error = failure(engine, f"INSERT INTO outbox (id) VALUES ({mark})", ("x",))
    assert refuses_data(error)
    assert not lacks_tables(error)
    assert not lacks_partition(error)


def test_a_row_that_is_there_already_is_not_the_data_s_fault(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        return
    sql = "INSERT INTO log_leases VALUES ('a', 'b', now()), ('a', 'b', now())"
    error = failure(engine, sql)
    assert is_taken(error)
    assert not refuses_data(error)


def test_a_row_without_partition_is_told_from_a_broken_constraint(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        return
    sql = (
        "INSERT INTO logs (id, keep, source, seq, timestamp, level, logger, message, details) "
        "VALUES (gen_random_uuid(), 'none', 's', 1, now(), '', '', '', '{}')"
    )
    error = failure(engine, sql)
    assert lacks_partition(error)
    assert not refuses_data(error)


def test_a_value_the_driver_cannot_send_is_the_data_s_fault(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        errors = [failure(engine, "SELECT ?", (2**70,)), failure(engine, "SELECT ?", (object(),))]
    else:
        errors = [failure(engine, "SELECT %s::text", ("\0",))]
    assert all(refuses_data(error) for error in errors)


def test_a_server_that_is_away_is_not_the_data_s_fault() -> None:
    from tests.logstore.stores import open_engine

    engine = open_engine("postgresql+psycopg://nobody@127.0.0.1:1/x", tables=False)
    error = failure(engine, "SELECT 1")
    assert not refuses_data(error)
    with pytest.raises(StoreUnavailable), store_errors():
        raise error


def test_the_sentence_is_one_line_and_names_what_is_away() -> None:
    error = exc.OperationalError("SELECT 1", None, Exception("gone\nDETAIL: secret"))
    with pytest.raises(StoreUnavailable) as caught, store_errors("database"):
        raise error
    assert str(caught.value) == "The database does not answer: gone"


def test_text_of_a_statement_stays_out_of_the_sentence(engine: Engine) -> None:
    with pytest.raises(StoreUnavailable) as caught, store_errors(), engine.connect() as connection:
        connection.execute(text("SELECT nowhere FROM logs"))
    assert "SELECT" not in str(caught.value)
