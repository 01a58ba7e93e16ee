import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from app.logstore.waiting import carry_out, nothing


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


def test_after_the_last_statement_it_commits_while_something_else_is_done(engine: Engine) -> None:
    seen: list[list[str]] = []

    def look() -> None:
        stop = time.monotonic() + 10
        while not told(engine) and time.monotonic() < stop:
            time.sleep(0.01)
        seen.append(told(engine))

    with engine.begin() as connection:
        carry_out(connection, "INSERT INTO told VALUES (%s)", ("a",), look, last=True)
    assert seen == [["a"]]
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO told VALUES ('b')"))
    assert told(engine) == ["a", "b"]


def test_a_last_statement_that_fails_commits_nothing_of_its_transaction(engine: Engine) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text("INSERT INTO told VALUES ('a')"))
        carry_out(connection, "INSERT INTO told VALUES (%s)", ("a",), nothing, last=True)

    with pytest.raises(DBAPIError) as raised, engine.begin() as connection:
        work(connection)
    assert raised.value.orig.sqlstate == "23505"  # type: ignore[union-attr]
    assert told(engine) == []


def test_a_commit_that_fails_raises_what_every_statement_does(engine: Engine) -> None:
    deferred = "ALTER TABLE told ADD UNIQUE (what) DEFERRABLE INITIALLY DEFERRED"
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE told DROP CONSTRAINT told_pkey"))
        connection.execute(text(deferred))
    twice = "INSERT INTO told VALUES (%s), (%s)"
    with pytest.raises(DBAPIError) as raised, engine.begin() as connection:
        carry_out(connection, twice, ("a", "a"), nothing, last=True)
    assert raised.value.orig.sqlstate == "23505"  # type: ignore[union-attr]
    assert told(engine) == []


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
