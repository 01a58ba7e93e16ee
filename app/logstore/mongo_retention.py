"""What retention asks of the MongoDB log store: what is expired, delete it, and who may do so."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from app.logstore.mongo_client import Mongo
from app.logstore.mongo_documents import LEASES, LOGS, from_document
from app.models.types import utc_now


def read_expired(
    mongo: Mongo, keep: str, before: str, after_id: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return records of one class in a range of ids, oldest first."""
    wanted = {"keep": {"$eq": keep}, "_id": {"$lt": before, "$gt": after_id or ""}}
    found = mongo.collection(LOGS).find(wanted).sort("_id", 1).limit(limit)
    return [from_document(one) for one in found]


def delete_records(mongo: Mongo, keep: str, ids: Sequence[str]) -> int:
    """Delete records by id; return how many there were."""
    wanted = {"_id": {"$in": list(ids)}, "keep": {"$eq": keep}}
    return mongo.collection(LOGS).delete_many(wanted).deleted_count


def take_lease(mongo: Mongo, name: str, holder: str, seconds: float) -> bool:
    """Take a lease that is free, run out or one's own, in one step."""
    now = utc_now()
    mine = {"_id": name, "$or": [{"holder": {"$eq": holder}}, {"expires_at": {"$lte": now}}]}
    values = {"holder": holder, "expires_at": now + timedelta(seconds=seconds)}
    try:
        mongo.collection(LEASES).update_one(mine, {"$set": values}, upsert=True)
    except DuplicateKeyError:
        # It is there, and neither free nor ours.
        return False
    return True
