"""What this process does while a database works by itself."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

Meanwhile = Callable[[], object]


def nothing() -> None:
    """Just wait."""


def carry_out(
    connection: Connection, statement: str, values: tuple[Any, ...], meanwhile: Meanwhile
) -> None:
    """Have PostgreSQL carry out a statement without rows, and call `meanwhile` before it is done.

    In a pipeline, because a thread that works meanwhile keeps the one that waits from going on.
    """
    driver: Any = connection.dialect.loaded_dbapi
    pooled: Any = connection.connection
    try:
        with pooled.driver_connection.pipeline(), pooled.cursor() as cursor:
            cursor.execute(statement, values)
            meanwhile()
    except driver.Error as error:
        raise DBAPIError.instance(statement, None, error, driver.Error) from error
