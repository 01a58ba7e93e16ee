import pytest
from bson.errors import InvalidDocument
from pymongo.errors import (
    BulkWriteError,
    DocumentTooLarge,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from app.logstore.contract import StoreUnavailable
from app.logstore.mongo_errors import NO_REPLICA_SET, is_conflict, refuses_data, store_errors

CONFLICT = OperationFailure("x", 112, {"errorLabels": ["TransientTransactionError"]})
DUPLICATE = BulkWriteError({"writeErrors": [{"index": 0, "code": 11000}]})
INVALID = BulkWriteError({"writeErrors": [{"index": 0, "code": 121}]})


@pytest.mark.parametrize(
    ("error", "conflict", "refused"),
    [
        (CONFLICT, True, False),
        (DUPLICATE, True, False),
        (INVALID, False, True),
        (OperationFailure("too large", 10334), False, True),
        (OperationFailure("not authorized", 13), False, False),
        (NetworkTimeout("x"), False, False),
        (DocumentTooLarge("x"), False, True),
        (InvalidDocument("x"), False, True),
        (OverflowError("x"), False, True),
        (OSError("x"), False, False),
    ],
)
def test_an_error_says_whether_to_try_again_or_without_the_data(
    error: Exception, conflict: bool, refused: bool
) -> None:
    assert (isinstance(error, OperationFailure) and is_conflict(error)) is conflict
    assert refuses_data(error) is refused


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            ServerSelectionTimeoutError(
                "db:27017: [Errno 111] Connection refused (configured timeouts: socketTimeoutMS:"
                " 5000.0ms), Timeout: 3.0s, Topology Description: <TopologyDescription id: 6>"
            ),
            "The log store does not answer: db:27017: [Errno 111] Connection refused",
        ),
        (
            OperationFailure("Authentication failed., full error: {'ok': 0.0}", 18),
            "The log store does not answer: Authentication failed.",
        ),
        (OperationFailure("Transaction numbers are only allowed on a …", 20), NO_REPLICA_SET),
        (
            ServerSelectionTimeoutError("No servers, Timeout: 3s, <server_type: RSGhost>"),
            NO_REPLICA_SET,
        ),
        (PyMongoError(""), "The log store does not answer: PyMongoError"),
        (PyMongoError("one\ntwo"), "The log store does not answer: one"),
    ],
)
def test_an_error_is_told_in_one_sentence(error: PyMongoError, sentence: str) -> None:
    with pytest.raises(StoreUnavailable) as caught, store_errors():
        raise error
    assert str(caught.value) == sentence
