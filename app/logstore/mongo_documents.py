"""A record as a document of the collection `logs`, and back; the indexes that find it."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pymongo import ASCENDING, IndexModel

from app.logstore.filters import COMMON_ACTION, COMMON_LEVELS, FAILURES, REFUSALS
from app.logstore.record import LogRecord
from app.logstore.rows import COLUMNS, from_row

LOGS, CHECKPOINTS = "logs", "log_checkpoints"
COUNTS, LEASES = "log_counts", "log_leases"
_ABSENT = dict.fromkeys(COLUMNS)


def to_document(record: LogRecord, source: str, seq: int) -> dict[str, Any]:
    """Return a record as a document: without what is absent, and details as JSON.

    As text they come back as they were, whatever their keys, and can be searched.
    """
    document = {name: value for name, value in record.items() if value is not None}
    document["_id"] = document.pop("id")
    exception: Any = document.pop("exception", {})
    document |= {f"exception_{name}": text for name, text in exception.items() if text is not None}
    document["details"] = orjson.dumps(record["details"]).decode()
    document |= {"source": source, "seq": seq}
    # Set apart, because an index cannot leave out values that it names.
    if record["level"] not in COMMON_LEVELS:
        document["rare_level"] = record["level"]
    if record["action"] not in {None, COMMON_ACTION}:
        document["rare_action"] = record["action"]
    if record["status"] in REFUSALS:
        document["rare_status"] = record["status"]
    if (record["status"] or 0) >= FAILURES:
        document["failed"] = True
    return document


def from_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document as a record, as `rows.from_row` does."""
    details = orjson.loads(document["details"])
    return from_row({**_ABSENT, **document, "id": document["_id"], "details": details})


def some_of_document(document: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Return the id and some fields of a record."""
    record = {"id": document["_id"], **{name: document.get(name) for name in fields}}
    if "details" in record:
        record["details"] = orjson.loads(record["details"])
    return record


def _of_those_that_have(name: str, *more: str) -> IndexModel:
    keys = [(one, ASCENDING) for one in (name, "_id", *more)]
    return IndexModel(keys, partialFilterExpression={name: {"$exists": True}})


# Most records are requests and of level INFO: the key finds those as well.
INDEXES = {
    LOGS: [
        _of_those_that_have("request_id"),
        _of_those_that_have("rare_action"),
        _of_those_that_have("rare_level"),
        _of_those_that_have("rare_status"),
        _of_those_that_have("failed"),
        _of_those_that_have("parent_request_id"),
        _of_those_that_have("user_id"),
        _of_those_that_have("exception_fingerprint", "user_id"),
        IndexModel([("source", ASCENDING), ("seq", ASCENDING)]),
        # What is expired of one class is not to be looked for among all others' records.
        IndexModel([("keep", ASCENDING), ("_id", ASCENDING)]),
    ],
    CHECKPOINTS: [IndexModel([("source", ASCENDING)])],
    COUNTS: [
        IndexModel([("step", ASCENDING), ("start", ASCENDING)]),
        # Few records have an exception: what happened to each is not looked for among the others.
        IndexModel(
            [("step", ASCENDING), ("start", ASCENDING), ("fingerprint", ASCENDING)],
            partialFilterExpression={"fingerprint": {"$gt": ""}},
        ),
    ],
}
