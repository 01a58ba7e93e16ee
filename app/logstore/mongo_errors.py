"""Tell apart what an error of MongoDB means: away, no replica set, a conflict, or refused data."""

from collections.abc import Iterator
from contextlib import contextmanager

from bson.errors import BSONError
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError, WriteError

from app.logstore.contract import StoreUnavailable

NO_REPLICA_SET = (
    "The log store is a MongoDB server that is no replica set, which transactions need: "
    "start it with --replSet and initiate the set, of one member is enough."
)
_ILLEGAL_OPERATION = 20
_DUPLICATE_KEY = 11000
_DATA = {121, 10334}  # A validator refuses it, or it is too large.


@contextmanager
def store_errors() -> Iterator[None]:
    """Raise StoreUnavailable, in one clear sentence, for an error of MongoDB."""
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailable(_sentence(error)) from error


def is_conflict(error: OperationFailure) -> bool:
    """Tell whether another transaction was in the way, so that the next try may succeed."""
    return error.has_error_label("TransientTransactionError") or _DUPLICATE_KEY in _codes(error)


def refuses_data(error: Exception) -> bool:
    """Tell whether a write failed because of the values it was given."""
    if isinstance(error, (BulkWriteError, WriteError)):
        return not is_conflict(error)
    if isinstance(error, OperationFailure):
        return error.code in _DATA
    return isinstance(error, (BSONError, ValueError, TypeError, ArithmeticError, RecursionError))


def _codes(error: OperationFailure) -> set[int | None]:
    details = error.details or {}
    return {error.code, *(one.get("code") for one in details.get("writeErrors", ()))}


def _sentence(error: PyMongoError) -> str:
    text = str(error)
    # "RSGhost" is a server that waits for its replica set to be initiated.
    if "RSGhost" in text or getattr(error, "code", None) == _ILLEGAL_OPERATION:
        return NO_REPLICA_SET
    # What the driver adds is long, and says nothing to a person.
    for rest in (", Timeout:", ", full error:", " (configured timeouts:"):
        text = text.partition(rest)[0]
    lines = text.splitlines()
    return f"The log store does not answer: {lines[0] if lines else type(error).__name__}"
