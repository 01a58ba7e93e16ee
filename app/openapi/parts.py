"""What the descriptions of all addresses share: problems, who may ask, how answers are told."""

from typing import Any

Told = dict[str, Any]

TEXT: Told = {"type": ["string", "null"]}
MOMENT: Told = {"type": "string", "format": "date-time"}
COUNT: Told = {"type": "integer", "minimum": 0}

PROBLEM = {
    "type": "object",
    "description": "Problem details, RFC 9457.",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "request_id": {"type": "string", "description": "Ask for the cause by this."},
        "errors": {
            "type": "object",
            "description": "What is wrong with each field or parameter that is at fault.",
            "additionalProperties": {"type": "string"},
        },
    },
    "additionalProperties": False,
}
_HEADER = {"schema": {"type": "string"}}
_REASONS = {
    400: "The request cannot be understood, or a session's X-CSRFToken is missing or old.",
    401: "Nobody is signed in, or the token is not valid.",
    403: "Whoever asks may not do this.",
    404: "There is no such thing.",
    409: "It was changed meanwhile.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    422: "Something that was sent is not valid; `errors` names it.",
    429: "Too many bad tokens came from this address.",
    503: "The database or the log store does not answer.",
}
_HEADERS = {
    401: {"WWW-Authenticate": _HEADER},
    429: {"Retry-After": {"schema": {"type": "integer"}}},
    503: {"Retry-After": {"schema": {"type": "integer"}}},
}
_REQUEST_ID = {"X-Request-ID": {"$ref": "#/components/headers/RequestID"}}


def described(text: str, schema: Told | None = None, kind: str = "application/json") -> Told:
    """Return the description of an answer, with a body of this schema if it has one."""
    told: Told = {"description": text, "headers": dict(_REQUEST_ID)}
    return {**told, "content": {kind: {"schema": schema}}} if schema else told


def answers(status: int, answer: Told, *problems: int) -> Told:
    """Return all answers of an operation: a good one, its own problems, and what any can have."""
    each = sorted({*problems, 401, 429, 503})
    return {str(status): answer, **{str(one): ref("responses", f"Problem{one}") for one in each}}


def whole(properties: Told) -> Told:
    """Return the schema of an object that always has all these and no others."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def ref(kind: str, name: str) -> Told:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def schema(name: str) -> Told:
    """Return a reference to the schema of a body."""
    return ref("schemas", name)


def query(name: str, text: str, **values: Any) -> Told:
    """Return the description of a parameter behind the `?`: a text, unless `values` say more."""
    return {
        "name": name,
        "in": "query",
        "description": text,
        "schema": {"type": "string", **values},
    }


def _problem(status: int) -> Told:
    told = described(_REASONS[status], schema("Problem"), "application/problem+json")
    return {**told, "headers": {**told["headers"], **_HEADERS.get(status, {})}}


# Anybody; a program, or a person's session; the same for what changes something.
TOKEN: list[dict[str, list[str]]] = [{"token": []}, {"session": []}]
ANYBODY = [{}, *TOKEN]
CHANGES: list[dict[str, list[str]]] = [{"token": []}, {"session": [], "csrf": []}]

PARTS: dict[str, Any] = {
    "schemas": {"Problem": PROBLEM},
    "responses": {f"Problem{status}": _problem(status) for status in _REASONS},
    "headers": {
        "RequestID": {"description": "Names this request in the log.", **_HEADER, "required": True}
    },
    "securitySchemes": {
        "token": {"type": "http", "scheme": "bearer", "description": "An API token."},
        "session": {"type": "apiKey", "in": "cookie", "name": "session"},
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRFToken",
            "description": "From /api/csrf-token; only where a session's cookie is sent.",
        },
    },
}
