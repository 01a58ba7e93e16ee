"""What the application answers to programs, as an OpenAPI 3.1 document that is made by hand.

Who adds an address under /api/ describes it in the module of its part; a test compares the
document with the routes, and real answers with their schemas.
"""

import re
from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify, request
from flask_login import current_user

from app.openapi import errors, items, logs, overview, records, security
from app.openapi.parts import PARTS, answers, described
from app.services.errors import BadRequest, Invalid
from app.services.log_keys import nearest

bp = Blueprint("openapi", __name__)

PATHS: dict[str, dict[str, Any]] = {
    **items.PATHS,
    **logs.PATHS,
    **errors.PATHS,
    **records.PATHS,
    **security.PATHS,
    **overview.PATHS,
    "/api/openapi.json": {
        "get": {
            "operationId": "getDescription",
            "summary": "This document",
            "tags": ["About"],
            "security": [{}],
            "responses": answers(200, described("An OpenAPI document.", {"type": "object"})),
        }
    },
}
SCHEMAS = {
    **PARTS["schemas"],
    **items.SCHEMAS,
    **logs.SCHEMAS,
    **errors.SCHEMAS,
    **records.SCHEMAS,
    **security.SCHEMAS,
    **overview.SCHEMAS,
}
_CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")


def init_app(app: Flask) -> None:
    """Serve the document to everybody, nothing in it is secret, and hold programs to it."""
    app.register_blueprint(bp)
    app.before_request(refuse_unknown_parameters)


def refuse_unknown_parameters() -> None:
    """Refuse a parameter that an address does not have: a misspelt filter would select all."""
    rule = request.url_rule
    if rule is None or not rule.rule.startswith("/api/") or not request.args:
        return
    method = "get" if request.method == "HEAD" else request.method.lower()
    operation = PATHS.get(path_of(rule.rule), {}).get(method, {})
    known = tuple(one["name"] for one in operation.get("parameters", ()))
    unknown = [name for name in request.args if name not in known]
    # Who may not ask at all is told that, by the address itself.
    may_ask = known and ({} in operation["security"] or getattr(current_user, "is_admin", False))
    if may_ask and unknown:
        refusal = Invalid if "422" in operation["responses"] else BadRequest
        # A stranger can send very many.
        raise refusal(errors={name[:100]: _no_parameter(name, known) for name in unknown[:10]})


def _no_parameter(name: str, known: tuple[str, ...]) -> str:
    near = nearest(name[:100], known)
    return "No such parameter. " + (f"Did you mean {near}?" if near else f"Use {', '.join(known)}.")


@bp.get("/api/openapi.json")
def document() -> Response:
    """Describe the addresses that this application has."""
    return jsonify(describe(current_app))


def describe(app: Flask) -> dict[str, Any]:
    """Return the document; what belongs to a part that was taken out is not in it."""
    there = {path_of(rule.rule) for rule in app.url_map.iter_rules()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Glasshouse",
            "version": app.config["RELEASE"],
            "summary": "Items, and the log of everything that happens to them.",
            "description": (
                "Programs send an API token, made on the account page or by `flask tokens "
                "create`, as `Authorization: Bearer …`. Every answer carries `X-Request-ID`, and "
                "every failure is a problem (RFC 9457) that repeats it."
            ),
        },
        "paths": {path: told for path, told in PATHS.items() if path in there},
        "components": {**PARTS, "schemas": SCHEMAS},
    }


def path_of(rule: str) -> str:
    """Return a route's rule as OpenAPI spells it."""
    return _CONVERTER.sub(r"{\1}", rule)
