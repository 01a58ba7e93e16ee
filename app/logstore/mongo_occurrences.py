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
    users = _users(mongo, fingerprints, floor)
    return {
        name: Occurrences(records[first[name]], records[newest[name]], users.get(name, 0))
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


def _users(mongo: Mongo, fingerprints: Sequence[str], floor: str) -> dict[str, int]:
    """Return how many users the newest records of each fingerprint name, in one question."""
    if not fingerprints:
        return {}
    first, *others = (_users_of(one, floor) for one in fingerprints)
    joined = [{"$unionWith": {"coll": LOGS, "pipeline": one}} for one in others]
    found = mongo.collection(LOGS).aggregate([*first, *joined])
    return {one["_id"]: one["users"] for one in found}


def _users_of(fingerprint: str, floor: str) -> list[dict[str, Any]]:
    return [
        {"$match": {_NAME: {"$eq": fingerprint}, "_id": {"$gte": floor}}},
        {"$sort": {"_id": -1}},
        {"$limit": USERS_AMONG},
        {"$group": {"_id": "$user_id"}},
        {"$match": {"_id": {"$ne": None}}},
        {"$group": {"_id": {"$literal": fingerprint}, "users": {"$sum": 1}}},
    ]
