"""The addresses of the log."""

from typing import Any

from app.openapi.parts import MOMENT, TEXT, TOKEN, answers, described, query, schema, whole
from app.services.log_keys import KEYS
from app.services.log_language import MAX_LENGTH

# Not imported from the pages, which can be taken out; a test compares.
PAGE_SIZE, PAGE_SIZE_MAX = 50, 500

_WHOLE = {"type": ["integer", "null"]}
_NUMBER = {"type": ["number", "null"]}
_EXCEPTION = {
    "type": ["object", "null"],
    "properties": dict.fromkeys(("type", "message", "traceback", "fingerprint"), TEXT),
    "additionalProperties": False,
}
_RECORD: dict[str, Any] = {
    "id": {"type": "string", "format": "uuid", "description": "A UUIDv7: sorts by time."},
    "timestamp": MOMENT,
    "level": {"type": "string"},
    "logger": {"type": "string"},
    "message": {"type": "string"},
    **dict.fromkeys(
        ("action", "request_id", "parent_request_id", "user_id", "account", "method", "path",
         "route", "remote_addr", "host", "release", "target_type", "target_id", "outcome",
         "statement"),
        TEXT,
    ),
    **dict.fromkeys(("status", "db_count", "pid"), _WHOLE),
    **dict.fromkeys(("duration_ms", "db_ms"), _NUMBER),
    "exception": _EXCEPTION,
    "details": {"type": "object"},
    "keep": {"type": "string", "enum": ["debug", "info", "error", "operation"]},
    "source": {"type": "string", "description": "The host that wrote it, by its identity."},
    "seq": {"type": "integer", "description": "Its place among all that its host has stored."},
}  # fmt: skip
SCHEMAS: dict[str, Any] = {
    "Record": whole(_RECORD),
    "RecordPage": whole(
        {
            "records": {"type": "array", "items": schema("Record"), "maxItems": PAGE_SIZE_MAX},
            "next": {
                "type": ["string", "null"],
                "format": "uri-reference",
                "description": "Follow it until it is null.",
            },
            "looked_back_to": {
                "type": ["string", "null"],
                "format": "date-time",
                "description": "How far back a search came in its time; `next` goes on there.",
            },
        }
    ),
}
FILTERS = [
    query(
        "q",
        'A search such as `level:>=warning user:7 -action:request "exact words"`. A key is one of '
        f"{', '.join(KEYS)}.",
        maxLength=MAX_LENGTH,
    ),
    query(
        "range",
        "Back from now, or the day before today in UTC.",
        enum=["15m", "1h", "6h", "24h", "yesterday", "7d", "30d", "custom"],
    ),
    query("from", "Not older than this time; UTC unless it says otherwise."),
    query("to", "Older than this time."),
]

PATHS: dict[str, dict[str, Any]] = {
    "/api/logs": {
        "get": {
            "operationId": "listRecords",
            "summary": "List the records of the log, newest first",
            "description": "For administrators. A page may be shorter than `limit`, even empty.",
            "tags": ["Log"],
            "security": TOKEN,
            "parameters": [
                *FILTERS,
                query("before", "As `next` of another page gives it.", format="uuid"),
                query(
                    "limit", "How many at most.", type="integer", minimum=1,
                    maximum=PAGE_SIZE_MAX, default=PAGE_SIZE,
                ),
            ],
            "responses": answers(
                200, described("A page of records.", schema("RecordPage")), 403, 422
            ),
        }
    },
}  # fmt: skip
