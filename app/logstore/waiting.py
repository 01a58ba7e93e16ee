"""What this process does while a database works by itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

Meanwhile = Callable[[], object]


def nothing() -> None:
    """Just wait."""


def carry_out(
    connection: Connection, statement: str, values: tuple[Any, ...], meanwhile: Meanwhile,
    *, last: bool = False,
) -> None:  # fmt: skip
    """Have PostgreSQL carry out a statement without rows, and call `meanwhile` before it is done.

    In a pipeline, because a thread that works meanwhile keeps the one that waits from going on.
    After the `last` statement of a transaction it commits at once, also if `meanwhile` raises; a
    statement that fails is not committed, nor is what came before it.
    """
    pooled: Any = connection.connection
    pipeline = pooled.driver_connection.pipeline
    with driver_errors(connection, statement), pipeline(), pooled.cursor() as cursor:
        cursor.execute(statement, values)
        if last:
            cursor.execute("COMMIT")
        meanwhile()


@contextmanager
def driver_errors(connection: Connection, statement: str) -> Iterator[None]:
    """Raise for an error of the driver, used by itself, what SQLAlchemy would have raised."""
    driver: Any = connection.dialect.loaded_dbapi
    pooled: Any = connection.connection
    try:
        yield
    except driver.Error as error:
        if pooled.driver_connection.closed:
            # Else the rollback, which cannot be had any more, would be told as the reason.
            connection.invalidate(error)
        raise DBAPIError.instance(statement, None, error, driver.Error) from error
