"""Tell apart what an error of the database means: away, without tables, or refusing the data."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from app.logstore.contract import StoreUnavailable

_UNDEFINED = {"42P01", "42703", "3F000"}  # Table, column, schema.
_DATA = {"22", "23", "54"}  # Bad data, broken constraint, a limit of the program.


@contextmanager
def store_errors(what: str = "log store") -> Iterator[None]:
    """Raise StoreUnavailable, in one clear sentence, for an error of the database."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        raise StoreUnavailable(_sentence(error, what)) from error


def lacks_tables(error: BaseException) -> bool:
    """Tell whether a statement failed because a migration has not run yet."""
    orig = getattr(error, "orig", None)
    if sqlstate(error) in _UNDEFINED:
        return True
    return str(orig).startswith(("no such table", "no such column", "table logs has no column"))


def lacks_partition(error: BaseException) -> bool:
    """Tell whether PostgreSQL found no partition for a row."""
    diagnosis = getattr(getattr(error, "orig", None), "diag", None)
    return sqlstate(error) == "23514" and getattr(diagnosis, "constraint_name", None) is None


def is_taken(error: BaseException) -> bool:
    """Tell whether somebody else has stored such a row since one looked."""
    return sqlstate(error) == "23505"


def refuses_data(error: BaseException) -> bool:
    """Tell whether a statement failed because of the values it was given."""
    if not isinstance(error, exc.DBAPIError):
        return isinstance(
            error, (exc.StatementError, ValueError, TypeError, ArithmeticError, RecursionError)
        )
    if error.connection_invalidated or lacks_tables(error) or lacks_partition(error):
        return False
    if is_taken(error):
        return False
    if state := sqlstate(error):
        return state[:2] in _DATA
    if isinstance(error, (exc.DataError, exc.IntegrityError)):
        return True
    # SQLite's driver: a value of a type it cannot bind.
    return "binding parameter" in str(error.orig)


def sqlstate(error: BaseException) -> str:
    """Return PostgreSQL's code of an error, empty where there is none."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def _sentence(error: exc.SQLAlchemyError, what: str) -> str:
    if lacks_tables(error):
        return f"The {what} lacks its tables or has old ones: run `flask db upgrade`."
    lines = str(getattr(error, "orig", None) or type(error).__name__).splitlines()
    return f"The {what} does not answer: {lines[0] if lines else type(error).__name__}"
