"""The addresses of the items."""

from typing import Any

from app.openapi.parts import ANYBODY, CHANGES, MOMENT, answers, described, query, schema, whole
from app.services.item_list import DEFAULT_ORDER, ORDERS, PAGE_SIZE, PAGE_SIZE_MAX
from app.services.item_rules import (
    CATEGORY_MAX,
    DESCRIPTION_MAX,
    NAME_MAX,
    QUANTITY_MAX,
    SEARCH_MAX,
)

_LINK = {"type": ["string", "null"], "format": "uri-reference"}
_NUMBER = {"type": "integer", "minimum": 1}
_VALUES: dict[str, Any] = {
    "name": {"type": "string", "minLength": 1, "maxLength": NAME_MAX},
    "category": {"type": "string", "maxLength": CATEGORY_MAX, "default": ""},
    "quantity": {"type": "integer", "minimum": 0, "maximum": QUANTITY_MAX, "default": 0},
    "description": {"type": "string", "maxLength": DESCRIPTION_MAX, "default": ""},
}
_ITEM: dict[str, Any] = {
    "id": _NUMBER,
    **{name: {k: v for k, v in told.items() if k != "default"} for name, told in _VALUES.items()},
    "image": {**_LINK, "description": "Where the picture is, if there is one."},
    "owner_id": _NUMBER,
    "version": {**_NUMBER, "description": "Raised by each change."},
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
SCHEMAS: dict[str, Any] = {
    "Item": whole(_ITEM),
    "NewItem": {
        "type": "object",
        "required": ["name"],
        "properties": _VALUES,
        "additionalProperties": False,
    },
    "ItemChange": {
        "type": "object",
        "description": "The fields to change, of the copy that had this version.",
        "required": ["version"],
        "properties": {
            **{name: _ITEM[name] for name in _VALUES},
            "version": _NUMBER,
        },
        "additionalProperties": False,
    },
    "ItemPage": whole(
        {
            "items": {"type": "array", "items": schema("Item"), "maxItems": PAGE_SIZE_MAX},
            "previous": _LINK,
            "next": {**_LINK, "description": "Follow it until it is null."},
        }
    ),
}
_ITEM_ID = {
    "name": "item_id",
    "in": "path",
    "required": True,
    "schema": {"type": "integer", "minimum": 0},
}


def _body(name: str) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema(name)}}}


PATHS: dict[str, dict[str, Any]] = {
    "/api/items": {
        "get": {
            "operationId": "listItems",
            "summary": "List, search and sort items",
            "description": (
                "A page may be shorter than `limit`, even empty, when a search for something "
                "rare takes long."
            ),
            "tags": ["Items"],
            "security": ANYBODY,
            "parameters": [
                query("q", "Words to look for, in any order.", maxLength=SEARCH_MAX),
                query("sort", "The order.", enum=list(ORDERS), default=DEFAULT_ORDER),
                query(
                    "limit", "How many at most.", type="integer", minimum=1,
                    maximum=PAGE_SIZE_MAX, default=PAGE_SIZE,
                ),
                query("after", "As `next` of another page gives it."),
                query("before", "As `previous` of another page gives it."),
            ],
            "responses": answers(200, described("A page of items.", schema("ItemPage")), 422),
        },
        "post": {
            "operationId": "createItem",
            "summary": "Create an item",
            "tags": ["Items"],
            "security": CHANGES,
            "requestBody": _body("NewItem"),
            "responses": answers(
                201, described("The new item.", schema("Item")), 400, 413, 415, 422
            ),
        },
    },
    "/api/items/{item_id}": {
        "parameters": [_ITEM_ID],
        "get": {
            "operationId": "getItem",
            "summary": "Read an item",
            "tags": ["Items"],
            "security": ANYBODY,
            "responses": answers(200, described("The item.", schema("Item")), 404),
        },
        "put": {
            "operationId": "changeItem",
            "summary": "Change an item",
            "description": "Its owner and administrators may.",
            "tags": ["Items"],
            "security": CHANGES,
            "requestBody": _body("ItemChange"),
            "responses": answers(
                200, described("The item as it is now.", schema("Item")),
                400, 403, 404, 409, 413, 415, 422,
            ),
        },
        "delete": {
            "operationId": "deleteItem",
            "summary": "Delete an item",
            "description": "Its owner and administrators may.",
            "tags": ["Items"],
            "security": CHANGES,
            "responses": answers(204, described("It is gone."), 400, 403, 404, 409),
        },
    },
    "/api/csrf-token": {
        "get": {
            "operationId": "getCsrfToken",
            "summary": "Get what a session's changes carry as X-CSRFToken",
            "tags": ["Items"],
            "security": ANYBODY,
            "responses": answers(
                200,
                described("The CSRF token.", whole({"csrf_token": {"type": "string"}})),
            ),
        }
    },
}  # fmt: skip
