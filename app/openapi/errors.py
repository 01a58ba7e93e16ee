"""The addresses of the errors in the log."""

from typing import Any

from app.openapi.parts import (
    CHANGES,
    COUNT,
    MOMENT,
    TEXT,
    TOKEN,
    answers,
    described,
    query,
    schema,
    whole,
)

_STARTS = {"type": "array", "items": MOMENT, "description": "Where each of `counts` begins."}
_HITS = {
    "type": "array",
    "items": whole({"value": {"type": "string"}, "count": COUNT}),
}


SCHEMAS: dict[str, Any] = {
    "Error": whole({
        "fingerprint": {"type": "string"},
        "state": {"type": "string", "enum": ["open", "resolved", "reopened"]},
        "type": TEXT,
        "message": TEXT,
        "place": {**TEXT, "description": "The line of this project where it happened."},
        "level": {"type": "string"},
        "count": {**COUNT, "description": "In the window."},
        "counts": {"type": "array", "items": COUNT, "description": "One for each of `starts`."},
        "users": COUNT,
        "users_are_more": {"type": "boolean", "description": "Not all occurrences were looked at."},
        "first_seen": MOMENT,
        "first_record_is_kept": {"type": "boolean"},
        "first_release": TEXT,
        "last_seen": MOMENT,
        "newest_record_id": {"type": "string", "format": "uuid"},
        "newest_request_id": TEXT,
        "resolved_at": {"type": ["string", "null"], "format": "date-time"},
        "resolved_by": TEXT,
    }),
    "ErrorList": whole({
        "errors": {"type": "array", "items": schema("Error")},
        "starts": _STARTS,
        "left_out": {**COUNT, "description": "How many more there were."},
    }),
    "ErrorStory": whole({
        "error": schema("Error"),
        "starts": _STARTS,
        "record": schema("Record"),
        "hits": whole(dict.fromkeys(("users", "routes", "hosts", "releases"), _HITS)),
        "hits_among": {**COUNT, "description": "How many of the newest were looked at."},
        "occurrences": {"type": "array", "items": schema("Record")},
        "next": {**TEXT, "description": "The `before` of the next page of occurrences."},
    }),
}  # fmt: skip
_FINGERPRINT = {
    "name": "fingerprint", "in": "path", "required": True, "schema": {"type": "string"},
}  # fmt: skip
_WINDOW = query("window", "Back from now.", enum=["1h", "24h", "7d", "30d"], default="24h")

PATHS: dict[str, dict[str, Any]] = {
    "/api/logs/errors": {
        "get": {
            "operationId": "listErrors",
            "summary": "List the errors, grouped by fingerprint",
            "description": "For administrators. One that returns after it was resolved is open.",
            "tags": ["Log"],
            "security": TOKEN,
            "parameters": [
                _WINDOW,
                query(
                    "state", "Which ones.", enum=["open", "resolved", "all"], default="open"
                ),
            ],
            "responses": answers(200, described("The errors.", schema("ErrorList")), 400, 403),
        }
    },
    "/api/logs/errors/{fingerprint}": {
        "parameters": [_FINGERPRINT],
        "get": {
            "operationId": "getError",
            "summary": "Tell all about one error",
            "description": "For administrators.",
            "tags": ["Log"],
            "security": TOKEN,
            "parameters": [_WINDOW, query("before", "As `next` of another page gives it.")],
            "responses": answers(
                200, described("The error.", schema("ErrorStory")), 400, 403, 404
            ),
        },
    },
    "/api/logs/errors/{fingerprint}/resolution": {
        "parameters": [_FINGERPRINT],
        "put": {
            "operationId": "resolveError",
            "summary": "Call an error resolved",
            "description": "For administrators. It is open again when it happens after this.",
            "tags": ["Log"],
            "security": CHANGES,
            "responses": answers(204, described("It is resolved."), 400, 403, 404, 409),
        },
        "delete": {
            "operationId": "reopenError",
            "summary": "Take back that an error was resolved",
            "description": "For administrators.",
            "tags": ["Log"],
            "security": CHANGES,
            "responses": answers(204, described("It is open."), 400, 403, 404),
        },
    },
}  # fmt: skip
