from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from app.logstore.waiting import carry_out


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    engine = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE told (what text PRIMARY KEY)"))
    yield engine
    engine.dispose()


def told(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT what FROM told ORDER BY what")).scalars())


def test_something_else_is_done_before_the_statement_is(engine: Engine) -> None:
    seen: list[list[str]] = []
    with engine.begin() as connection:
        slow = "INSERT INTO told SELECT %s FROM pg_sleep(0.1)"
        carry_out(connection, slow, ("a",), lambda: seen.append(told(engine)))
        assert connection.execute(text("SELECT what FROM told")).scalar() == "a"
    assert (seen, told(engine)) == ([[]], ["a"])


def test_what_fails_raises_what_every_statement_does_and_leaves_nothing(engine: Engine) -> None:
    done: list[bool] = []
    twice = "INSERT INTO told VALUES (%s), (%s)"
    with pytest.raises(DBAPIError) as raised, engine.begin() as connection:
        carry_out(connection, twice, ("a", "a"), lambda: done.append(True))
    assert raised.value.orig.sqlstate == "23505"  # type: ignore[union-attr]
    assert (done, told(engine)) == ([True], [])


def test_a_server_that_goes_away_meanwhile_is_the_reason_and_not_the_rollback(
    engine: Engine,
) -> None:
    def cut_off() -> None:
        with engine.begin() as other:
            here = "pid <> pg_backend_pid() AND datname = current_database()"
            end = text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {here}")
            other.execute(end)

    slow = "INSERT INTO told SELECT %s FROM pg_sleep(30)"
    with pytest.raises(DBAPIError) as raised, engine.begin() as connection:
        carry_out(connection, slow, ("a",), cut_off)
    assert "lost" not in str(raised.value.orig)
    # The next one is another connection.
    assert told(engine) == []
