"""The address of the overview."""

from typing import Any

from app.openapi.parts import TOKEN, answers, described, query, schema

Told = dict[str, Any]

_TEXT, _FLAG = {"type": "string"}, {"type": "boolean"}
_SOME_TEXT = {"type": ["string", "null"]}
_NUMBER, _SOME_NUMBER = {"type": "number"}, {"type": ["number", "null"]}
_COUNT, _SOME_COUNT = {"type": "integer", "minimum": 0}, {"type": ["integer", "null"]}
_MOMENT = {"type": "string", "format": "date-time"}
_SOME_MOMENT = {"type": ["string", "null"], "format": "date-time"}


def _whole(**properties: Told) -> Told:
    """Return the schema of an object that always has all these and no others."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def _many(**properties: Told) -> Told:
    return {"type": "array", "items": _whole(**properties)}


_POINT = {
    "type": "array",
    "prefixItems": [_MOMENT, _SOME_NUMBER],
    "minItems": 2,
    "maxItems": 2,
    "description": "The start of a step, and the figure in it.",
}
SCHEMAS: Told = {
    "Figure": _whole(
        name=_TEXT,
        unit=_TEXT,
        value=_SOME_NUMBER,
        limit=_SOME_NUMBER,
        over={**_FLAG, "description": "Beyond its limit, now."},
        lowest={**_FLAG, "description": "Less is worse."},
        counted_since={**_MOMENT, "description": "Since when the value was counted."},
        since={**_SOME_MOMENT, "description": "Since when it is over."},
        also={"type": "object", "additionalProperties": _SOME_NUMBER},
        points={"type": "array", "items": _POINT},
    ),
    "Standouts": _whole(
        routes=_many(route=_SOME_TEXT, count=_COUNT, p95_ms=_SOME_NUMBER, error_percent=_NUMBER),
        routes_since=_MOMENT,
        statements=_many(statement=_TEXT, count=_COUNT, total_ms=_NUMBER, max_ms=_NUMBER,
                         request_id=_SOME_TEXT),
        repeats=_many(line=_TEXT, statement=_TEXT, most=_COUNT, requests=_COUNT,
                      request_id=_SOME_TEXT),
        failures=_many(fingerprint=_TEXT, type=_TEXT, message=_TEXT, place=_SOME_TEXT,
                       count=_COUNT, last_seen=_MOMENT, record_id=_TEXT),
        people=_many(user_id=_SOME_TEXT, account=_SOME_TEXT, count=_COUNT, errors=_COUNT),
        looked_at={
            **_whole(slow_query=_COUNT, error=_COUNT, request=_COUNT),
            "description": "How many of the newest records all but `routes` is told from; of "
                           "requests, those that did not read the log.",
        },
    ),
    "Recorder": _whole(
        alive=_FLAG, lag_seconds=_SOME_NUMBER, unshipped_bytes=_SOME_COUNT, dropped=_COUNT,
        refused=_SOME_COUNT, torn=_SOME_COUNT, bytes_a_day=_SOME_NUMBER,
        days_until_full=_SOME_NUMBER,
    ),
    "Overview": _whole(
        window=_TEXT,
        since=_MOMENT,
        until=_MOMENT,
        empty={**_FLAG, "description": "Nothing was recorded."},
        figures={"type": "array", "items": schema("Figure")},
        standouts=schema("Standouts"),
        hosts=_many(host=_TEXT, last_seen=_MOMENT, alive=_FLAG,
                    pids={"type": "array", "items": {"type": "integer"}},
                    releases={"type": "array", "items": _TEXT}),
        recorder=schema("Recorder"),
    ),
}  # fmt: skip

PATHS: dict[str, Told] = {
    "/api/logs/overview": {
        "get": {
            "operationId": "getOverview",
            "summary": "The key figures of the log, and what stands out",
            "description": "For administrators.",
            "tags": ["Log"],
            "security": TOKEN,
            "parameters": [
                query("window", "Back from now.", enum=["1h", "6h", "24h", "7d", "30d"],
                      default="24h"),
            ],
            "responses": answers(
                200, described("How the application is and was.", schema("Overview")), 400, 403
            ),
        }
    },
}  # fmt: skip
