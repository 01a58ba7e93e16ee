"""Write and read the counts of the MongoDB log store: all buckets of one kind in one document."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from app.logstore.counts import ALL_STEPS, DAY, Key, Selection, Tile, id_at, second_of
from app.logstore.mongo_client import Document, Mongo
from app.logstore.mongo_documents import COUNTS, LOGS
from app.logstore.record import KEEPS

_NAMES = Key._fields[:-1]
_BATCH = 10_000  # All at once, but for more than 16 MB: the first batch would be of 101.
_COUNTED = (
    "source", "level", "action", "route", "status", "duration_ms", "db_ms", "details",
    "exception_fingerprint",
)  # fmt: skip


class MongoCounts:
    """The counts and what they count, in a session if any; see `count_questions.Counts`."""

    def __init__(self, mongo: Mongo, session: ClientSession | None = None) -> None:
        self._counts = mongo.collection(COUNTS)
        self._logs = mongo.collection(LOGS)
        self._session = session
        self._oldest: Mapping[int, int | None] | None = None

    def add(self, counts: Mapping[Key, int]) -> None:
        """Add to the counts there are, with one update for each kind."""
        added: dict[tuple[Any, ...], dict[str, int]] = defaultdict(dict)
        for key, count in sorted(counts.items()):
            added[key[:-1]][f"buckets.{key.bucket}"] = count
        updates = [
            UpdateOne(
                {"_id": orjson.dumps(kind).decode()},
                {
                    "$inc": {**buckets, "count": sum(buckets.values())},
                    "$setOnInsert": dict(zip(_NAMES, kind, strict=True)),
                },
                upsert=True,
            )
            for kind, buckets in added.items()
        ]
        if updates:
            self._counts.bulk_write(updates, session=self._session)

    def sums(
        self, chosen: Selection, covered: Sequence[Tile], fields: Sequence[str], step: int | None
    ) -> Iterator[tuple[Any, ...]]:
        point = {"$subtract": ["$start", {"$mod": ["$start", step]}]}
        values = [f"${name}" for name in fields]
        parts = values if step is None else [point, *values]
        pipeline: list[Document] = [
            {"$match": _wanted(chosen, covered)},
            {"$group": {"_id": parts, "count": {"$sum": "$count"}}},
        ]
        for found in self._counts.aggregate(pipeline, session=self._session, batchSize=_BATCH):
            yield (*found["_id"], found["count"])

    def histograms(
        self, chosen: Selection, covered: Sequence[Tile], fields: Sequence[str], step: int | None
    ) -> Iterator[tuple[Any, ...]]:
        wanted = _wanted(chosen, covered)
        names = dict.fromkeys([*fields, "start", "buckets"], True) | {"_id": False}
        for one in self._counts.find(wanted, names, batch_size=_BATCH, session=self._session):
            start = () if step is None else (one["start"] // step * step,)
            buckets = {int(number): count for number, count in one["buckets"].items() if count}
            yield (*start, *(one[name] for name in fields), buckets)

    def oldest_start(self, step: int) -> int | None:
        found = self._counts.find_one(
            {"step": step}, {"start": True}, sort=[("start", 1)], session=self._session
        )
        return found["start"] if found else None

    def first_days(self, chosen: Selection) -> Mapping[str, int]:
        wanted = {"step": DAY, "fingerprint": _of_exceptions(chosen)}
        group = {"_id": "$fingerprint", "start": {"$min": "$start"}}
        pipeline: list[Document] = [{"$match": wanted}, {"$group": group}]
        found = self._counts.aggregate(pipeline, session=self._session)
        return {one["_id"]: one["start"] for one in found}

    def oldest_starts(self) -> Mapping[int, int | None]:
        if self._oldest is None:
            # The index skips all between.
            pipeline: list[Document] = [
                {"$sort": {"step": 1, "start": 1}},
                {"$group": {"_id": "$step", "start": {"$first": "$start"}}},
            ]
            found = self._counts.aggregate(pipeline, session=self._session)
            self._oldest = dict.fromkeys(ALL_STEPS) | {one["_id"]: one["start"] for one in found}
        return self._oldest

    def delete(self, tile: Tile) -> int:
        return self._counts.delete_many(_within(tile), session=self._session).deleted_count

    def oldest_records(self) -> dict[str, int]:
        found = {keep: self._first_record({"keep": keep}) for keep in KEEPS}
        return {keep: second for keep, second in found.items() if second is not None}

    def first_ends(self) -> Iterator[tuple[str, str, int]]:
        group = {
            "_id": ["$level", "$action"], "end": {"$min": {"$add": ["$start", "$step"]}},
        }  # fmt: skip
        pipeline: list[Document] = [{"$match": {"step": {"$gt": 0}}}, {"$group": group}]
        for found in self._counts.aggregate(pipeline, session=self._session):
            level, action = found["_id"]
            yield level, action, found["end"]

    def next_day(self, second: int) -> int | None:
        counted = self._counts.find_one(
            {"step": DAY, "start": {"$gte": second}}, {"start": True}, sort=[("start", 1)],
            session=self._session,
        )  # fmt: skip
        record = self._first_record({"_id": {"$gte": id_at(second)}})
        found = [counted["start"] if counted else None, record]
        return min((one // DAY * DAY for one in found if one is not None), default=None)

    def records(self, low: int, high: int) -> Iterator[Mapping[str, Any]]:
        wanted = {"_id": {"$gte": id_at(low), "$lt": id_at(high)}}
        names = dict.fromkeys(_COUNTED, True)
        for document in self._logs.find(wanted, names, session=self._session):
            yield counted_of(document)

    def stored(self, low: int, high: int) -> Iterator[tuple[Key, int]]:
        for step in ALL_STEPS:
            wanted = _within(Tile(step, low, high))
            for one in self._counts.find(wanted, session=self._session):
                kind = [one[name] for name in _NAMES]
                for bucket, count in one["buckets"].items():
                    yield Key._make([*kind, int(bucket)]), count

    def _first_record(self, wanted: Document) -> int | None:
        found = self._logs.find_one(wanted, {"_id": True}, sort=[("_id", 1)], session=self._session)
        return second_of(found["_id"]) if found else None


def counted_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `counts.tally` needs of a document, which lacks what is absent."""
    found = {"id": document["_id"], **{name: document.get(name) for name in _COUNTED}}
    # No other record's details are counted, and there are many of them.
    if found["action"] == "sample":
        found["details"] = orjson.loads(found["details"])
    return found


def _within(tile: Tile) -> Document:
    return {"step": tile.step, "start": {"$gte": tile.low, "$lt": tile.high}}


def _wanted(chosen: Selection, covered: Sequence[Tile]) -> Document:
    # All in each part: an index serves a part by what it says itself.
    conditions = _conditions(chosen)
    return {"$or": [{**_within(one), **conditions} for one in covered]}


def _conditions(chosen: Selection) -> Document:
    action = {"$in": list(chosen.actions)} if chosen.actions else {}
    status: Document = {}
    if chosen.class_min is not None:
        status["$gte"] = chosen.class_min
    if chosen.class_max is not None:
        status["$lte"] = chosen.class_max
    level = {"$in": list(chosen.levels)} if chosen.levels else {}
    route = {} if chosen.route is None else {"$eq": chosen.route}
    found = {
        "level": level, "action": action, "route": route, "status_class": status,
        "fingerprint": _of_exceptions(chosen),
    }  # fmt: skip
    wanted: Document = {name: condition for name, condition in found.items() if condition}
    if chosen.without:
        wanted["$nor"] = [_conditions(unwanted) for unwanted in chosen.without]
    return wanted


def _of_exceptions(chosen: Selection) -> Document:
    # Spelled as in the index, which serves only what says the same.
    found: Document = {"$gt": ""} if chosen.failed else {}
    if chosen.fingerprint is not None:
        found["$eq"] = chosen.fingerprint
    return found
