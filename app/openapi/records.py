"""The addresses of single records, of the log's tail and of its export."""

from typing import Any

from app.openapi.logs import FILTERS
from app.openapi.parts import TOKEN, Told, answers, described, query, schema

_RECORDS = {"type": "array", "items": schema("Record")}
_COUNT = {"type": "integer", "minimum": 0}
_SHORT_OF_TIME: dict[str, Any] = {
    "type": ["string", "null"], "format": "date-time",
    "description": "Set when there was no time to look further.",
}  # fmt: skip
_FORMATS = ("application/x-ndjson", "text/csv; charset=utf-8")


def _whole(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


SCHEMAS: dict[str, Any] = {
    "RecordTold": _whole({"record": schema("Record")}),
    "RecordStory": _whole({
        "records": _RECORDS,
        "left_out": {**_COUNT, "description": "How many, between its beginning and its end."},
    }),
    "RecordContext": _whole({
        "after": _RECORDS, "record": schema("Record"), "before": _RECORDS,
        "looked_ahead_to": _SHORT_OF_TIME, "looked_back_to": _SHORT_OF_TIME,
    }),
    "RecordNews": _whole({
        "cursor": {"type": "string", "description": "For the next look, by whoever got it."},
        "begun": {"type": "boolean", "description": "It follows on nothing that was seen."},
        "count": _COUNT,
        "skipped": {**_COUNT, "description": "How many were left out; look at the log."},
        "more": {"type": "boolean", "description": "`skipped` is how many at least."},
        "records": _RECORDS,
    }),
}  # fmt: skip


def _part(name: str) -> Told:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _get(operation: str, summary: str, answer: Told, *problems: int, **more: Any) -> Told:
    return {
        "operationId": operation,
        "summary": summary,
        "description": "For administrators.",
        "tags": ["Log"],
        "security": TOKEN,
        "responses": answers(200, answer, 403, *problems),
        **more,
    }


_EXPORT = described("The records, a line each; a last line says where they were cut.")
_EXPORT["content"] = {kind: {"schema": {"type": "string"}} for kind in _FORMATS}
_TAIL = _get(
    "followRecords",
    "Tell which records were stored since the last look",
    described("What is new, newest first.", schema("RecordNews")),
    422,
    parameters=[*FILTERS, query("cursor", "As the last answer gave it; 204 leaves it valid.")],
)
_TAIL["responses"]["204"] = described("Nothing is new.")

PATHS: dict[str, dict[str, Any]] = {
    "/api/logs/tail": {"get": _TAIL},
    "/api/logs/export": {
        "get": _get(
            "exportRecords",
            "Send all records that fit, newest first, as a stream",
            _EXPORT,
            422,
            parameters=[
                *FILTERS,
                query("before", "Go on behind this record.", format="uuid"),
                query("format", "A line of JSON each, or a table.", enum=["ndjson", "csv"],
                      default="ndjson"),
            ],
        )
    },
    "/api/logs/requests/{request_id}": {
        "parameters": [_part("request_id")],
        "get": _get(
            "getRequest",
            "Tell everything that one request or job run said, oldest first",
            described("Its records.", schema("RecordStory")),
            404,
        ),
    },
    "/api/logs/{record_id}": {
        "parameters": [_part("record_id")],
        "get": _get(
            "getRecord",
            "Tell all about one record",
            described("The record.", schema("RecordTold")),
            404,
        ),
    },
    "/api/logs/{record_id}/context": {
        "parameters": [_part("record_id")],
        "get": _get(
            "getContext",
            "Tell what came before a record and after it, newest first",
            described("The record and its neighbours.", schema("RecordContext")),
            404,
            422,
            parameters=[
                query("of", "Whose records.", enum=["all", "host", "process", "request"],
                      default="all"),
            ],
        ),
    },
}  # fmt: skip
