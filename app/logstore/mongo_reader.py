"""Read the MongoDB log store: by the order of ids, and by the order of storing."""

from collections.abc import Sequence
from typing import Any

from app.logstore.contract import LogQuery
from app.logstore.filters import is_exact
from app.logstore.mongo_client import Mongo
from app.logstore.mongo_documents import CHECKPOINTS, LOGS, from_document, some_of_document
from app.logstore.mongo_filters import Condition, all_of, indexed, scanned


class MongoReader:
    """Read the records of one query; `reading.Reader` says what each method does."""

    def __init__(self, mongo: Mongo, query: LogQuery, fields: Sequence[str] = ()) -> None:
        self._mongo = mongo
        self._indexed = indexed(query)
        self._scanned = scanned(query)
        self._exact = is_exact(query)
        self._fields = fields

    @property
    def scans(self) -> bool:
        return bool(self._scanned) or not self._exact

    def rows(self, before: str | None, edge: str | None, limit: int) -> list[dict[str, Any]]:
        within = _older(before) + ([{"_id": {"$gte": edge}}] if edge else [])
        return self._find([*self._scanned, *within], "_id", -1, limit, self._fields)

    def newer(self, after: str, limit: int) -> list[dict[str, Any]]:
        return self._find([*self._scanned, {"_id": {"$gt": after}}], "_id", 1, limit, self._fields)

    def edge(self, before: str | None, size: int) -> str | None:
        wanted = all_of([*self._indexed, *_older(before)])
        cursor = self._mongo.collection(LOGS).find(wanted, {"_id": True}).sort("_id", -1)
        return next((one["_id"] for one in cursor.skip(size - 1).limit(1)), None)

    def ends(self) -> dict[str, int]:
        group = {"_id": "$source", "next_seq": {"$max": "$next_seq"}}
        found = self._mongo.collection(CHECKPOINTS).aggregate([{"$group": group}])
        return dict(sorted((one["_id"], int(one["next_seq"]) - 1) for one in found))

    def between(self, source: str, last: int, upto: int, limit: int) -> list[dict[str, Any]]:
        numbered = {"source": {"$eq": source}, "seq": {"$gt": last, "$lte": upto}}
        return self._find([numbered, *self._scanned], "seq", 1, limit)

    def _find(
        self,
        conditions: list[Condition],
        order: str,
        direction: int,
        limit: int,
        fields: Sequence[str] = (),
    ) -> list[dict[str, Any]]:
        wanted = all_of([*self._indexed, *conditions])
        cursor = self._mongo.collection(LOGS).find(wanted, fields or None)
        # All at once: the first batch would be of 101.
        found = cursor.sort(order, direction).limit(limit).batch_size(limit)
        if fields:
            return [some_of_document(one, fields) for one in found]
        return [from_document(one) for one in found]


def _older(before: str | None) -> list[Condition]:
    return [{"_id": {"$lt": before}}] if before else []
