"""Count records of the MongoDB log store by their fields."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson

from app.logstore.contract import Group, LogQuery
from app.logstore.mongo_client import Mongo
from app.logstore.mongo_documents import LOGS
from app.logstore.mongo_filters import all_of, indexed, scanned
from app.logstore.rows import column_for, details_key


def read_groups(mongo: Mongo, query: LogQuery, fields: Sequence[str], limit: int) -> list[Group]:
    """Return the most frequent combinations of these fields' values. Raises ValueError."""
    wanted = all_of([*indexed(query), *scanned(query)])
    keys = [details_key(field) for field in fields]
    names = [
        column_for(field) if key is None else "details"
        for field, key in zip(fields, keys, strict=True)
    ]
    names = ["_id" if name == "id" else name for name in names]
    if any(key is not None for key in keys):
        return _counted_here(mongo, wanted, names, keys, limit)
    pipeline: list[dict[str, Any]] = [
        {"$match": wanted},
        {"$group": {
            "_id": {f"value_{index}": f"${name}" for index, name in enumerate(names)},
            "count": {"$sum": 1},
            "last": {"$max": "$_id"},
        }},
        {"$sort": {"count": -1, "last": -1}},
        {"$limit": limit},
    ]  # fmt: skip
    found = mongo.collection(LOGS).aggregate(pipeline, allowDiskUse=True)
    return [
        Group(
            tuple(one["_id"].get(f"value_{index}") for index in range(len(names))),
            one["count"],
            one["last"],
        )
        for one in found
    ]


def _counted_here(
    mongo: Mongo,
    wanted: dict[str, Any],
    names: Sequence[str],
    keys: Sequence[str | None],
    limit: int,
) -> list[Group]:
    """Count what needs details, which are JSON that MongoDB cannot look into."""
    counts: Counter[tuple[Any, ...]] = Counter()
    last: dict[tuple[Any, ...], str] = {}
    for one in mongo.collection(LOGS).find(wanted, dict.fromkeys([*names, "details"], True)):
        details = orjson.loads(one["details"])
        values = tuple(
            one.get(name) if key is None else _scalar(details.get(key))
            for name, key in zip(names, keys, strict=True)
        )
        counts[values] += 1
        last[values] = max(last.get(values, ""), one["_id"])
    groups = [Group(values, count, last[values]) for values, count in counts.items()]
    return sorted(groups, key=lambda one: (one.count, one.last_id), reverse=True)[:limit]


def _scalar(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, (dict, list)) else value
