"""Look up the records of one exception in MongoDB: the first, the newest, its users."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.logstore.error_groups import USERS_AMONG, Occurrences
from app.logstore.mongo_client import Mongo
from app.logstore.mongo_documents import LOGS, from_document

_NAME = "exception_fingerprint"
# A traceback is longer than all the rest.
_LEFT_OUT = {"exception_traceback": False, "statement": False}


def read_occurrences(
    mongo: Mongo, fingerprints: Sequence[str], floor: str
) -> Mapping[str, Occurrences]:
    """Return what there is of each fingerprint; users from the id `floor` on."""
    first, newest = (_ends(mongo, fingerprints, direction) for direction in (1, -1))
    ids = [*first.values(), *newest.values()]
    found = mongo.collection(LOGS).find({"_id": {"$in": ids}}, _LEFT_OUT)
    records = {one["_id"]: from_document(one) for one in found}
    return {
        name: Occurrences(records[first[name]], records[newest[name]], _users(mongo, name, floor))
        for name in fingerprints
        if first.get(name) in records and newest.get(name) in records
    }


def _ends(mongo: Mongo, fingerprints: Sequence[str], direction: int) -> dict[str, str]:
    """Return the first or the last id of each fingerprint; the index skips all between."""
    pipeline: list[dict[str, Any]] = [
        {"$match": {_NAME: {"$in": list(fingerprints)}}},
        {"$sort": {_NAME: direction, "_id": direction}},
        {"$group": {"_id": f"${_NAME}", "id": {"$first": "$_id"}}},
    ]
    return {one["_id"]: one["id"] for one in mongo.collection(LOGS).aggregate(pipeline)}


def _users(mongo: Mongo, fingerprint: str, floor: str) -> int:
    wanted = {_NAME: {"$eq": fingerprint}, "_id": {"$gte": floor}}
    latest = mongo.collection(LOGS).find(wanted, {"_id": False, "user_id": True})
    found = {one.get("user_id") for one in latest.sort("_id", -1).limit(USERS_AMONG)}
    return len(found - {None})
