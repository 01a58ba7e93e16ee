"""The address of what happened to accounts and permissions."""

from typing import Any

from app.openapi.parts import COUNT, MOMENT, TEXT, TOKEN, answers, described, query, schema, whole
from app.services.security_report import WINDOWS

_MOMENT_IF_ANY = {**MOMENT, "type": ["string", "null"]}


def _list(properties: dict[str, Any], text: str) -> dict[str, Any]:
    return {"type": "array", "items": whole(properties), "description": text}


_TALLY = {"count": COUNT, "last_seen": MOMENT}
_ATTEMPTS = {
    "name": {**TEXT, "description": "The account or the address; null where it is not known."},
    "failures": COUNT,
    "others": {**COUNT, "description": "Addresses that tried it, or accounts that it tried."},
    "reasons": {"type": "object", "additionalProperties": COUNT},
    "last_seen": MOMENT,
    "guessed_at": {**_MOMENT_IF_ANY, "description": "A login after many failures in a row."},
    "suspicious": {"type": "boolean"},
}
SCHEMAS: dict[str, Any] = {
    "SecurityReport": whole({
        "failed_by_account": _list(_ATTEMPTS, "Failed logins, by account."),
        "failed_by_address": _list(_ATTEMPTS, "The same, by address."),
        "refused": _list(
            {
                "status": {"type": "integer"}, "account": TEXT, "address": TEXT, "route": TEXT,
                **_TALLY,
            },
            "Requests that were answered 401, 403 or 429.",
        ),
        "readers": _list({"account": TEXT, "action": TEXT, **_TALLY}, "Who looked at the log."),
        "changes": {"type": "array", "items": schema("Record")},
        "complete_since": {
            **whole(dict.fromkeys(
                ("failed", "guessed_at", "refused", "readers", "changes"), _MOMENT_IF_ANY
            )),
            "description": "Since when a list tells all, where there was more than is looked at.",
        },
    })
}  # fmt: skip

PATHS: dict[str, dict[str, Any]] = {
    "/api/logs/security": {
        "get": {
            "operationId": "getSecurityReport",
            "summary": "Tell what happened to accounts and permissions",
            "description": "For administrators.",
            "tags": ["Log"],
            "security": TOKEN,
            "parameters": [query("window", "Back from now.", enum=list(WINDOWS), default="24h")],
            "responses": answers(
                200, described("The report.", schema("SecurityReport")), 400, 403
            ),
        }
    },
}  # fmt: skip
