import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.blueprints.items.api import bp
from app.extensions import db
from app.models.item import Item
from app.services import item_service
from tests.helpers import PASSWORD, Account, log_lines, login
from tests.services.pictures import picture

LAMP = {"name": "Lamp", "category": "Light", "quantity": 3, "description": "Warm"}


@pytest.fixture
def signed_in(client: FlaskClient, user: Account) -> FlaskClient:
    login(client, user)
    return client


def rows(app: Flask) -> list[dict[str, Any]]:
    """Return all there is, to see that nothing changed."""
    with app.app_context():
        return [dict(row) for row in db.session.execute(select(Item.__table__)).mappings()]


def problem(answer: Any) -> dict[str, Any]:
    assert answer.content_type == "application/problem+json"
    body = json.loads(answer.data)
    assert body["status"] == answer.status_code
    assert body["request_id"] == answer.headers["X-Request-ID"]
    return body


def test_a_program_creates_reads_changes_and_deletes(signed_in: FlaskClient, app: Flask) -> None:
    made = signed_in.post("/api/items", json=LAMP)
    assert made.status_code == 201
    assert made.headers["Location"] == f"/api/items/{made.json['id']}"
    assert {key: made.json[key] for key in LAMP} == LAMP
    assert (made.json["version"], made.json["image"]) == (1, None)

    assert signed_in.get(made.headers["Location"]).json == made.json

    changed = signed_in.put("/items/1", json={"quantity": 8, "version": 1})
    assert changed.status_code == 200
    assert (changed.json["quantity"], changed.json["name"], changed.json["version"]) == (
        8,
        "Lamp",
        2,
    )
    again = signed_in.put("/api/items/1", json={**LAMP, "version": 2})
    assert (again.json["quantity"], again.json["version"]) == (3, 3)

    assert signed_in.delete("/items/1").status_code == 204
    assert problem(signed_in.get("/api/items/1"))["status"] == 404
    assert rows(app) == []


def test_the_second_address_deletes_as_well(signed_in: FlaskClient, app: Flask) -> None:
    signed_in.post("/api/items", json=LAMP)
    assert signed_in.delete("/api/items/1").status_code == 204
    assert rows(app) == []


BAD_BODIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "application/json"),
    "no JSON": (b"{name: Lamp}", "application/json"),
    "cut off": (b'{"name": "La', "application/json"),
    "not UTF-8": (b'{"name": "\xff"}', "application/json"),
    "nested without end": (b"[" * 50_000, "application/json"),
    "a number without end": (b'{"quantity": ' + b"9" * 6000 + b"}", "application/json"),
    "a list": (b"[]", "application/json"),
    "a text": (b'"Lamp"', "application/json"),
    "null": (b"null", "application/json"),
}
WRONG_KINDS = ["text/plain", "application/xml", "application/x-www-form-urlencoded", "", "x"]
BAD_FIELDS: list[tuple[str, Any]] = [
    ("name", ""), ("name", None), ("name", 1), ("name", "x" * 121), ("name", "a\x00b"),
    ("name", "\ud800"), ("name", ["a"]), ("category", 1), ("category", "x" * 61),
    ("description", False), ("description", "x" * 4001), ("quantity", "3"), ("quantity", 1.5),
    ("quantity", -1), ("quantity", 2**31), ("quantity", 10**30), ("quantity", True),
    ("quantity", None), ("quantity", float("nan")), ("quantity", float("inf")), ("id", 7),
    ("owner_id", 7), ("image", "../etc/passwd"), ("__proto__", {}), ("a\ud800", 1),
]  # fmt: skip


def change(client: FlaskClient, method: str, **body: Any) -> Any:
    path = "/api/items" if method == "POST" else "/items/1"
    return client.open(path, method=method, **body)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_that_is_no_json_object_is_refused_and_changes_nothing(
    signed_in: FlaskClient, app: Flask, method: str
) -> None:
    signed_in.post("/api/items", json=LAMP)
    before = rows(app)
    for name, (data, kind) in BAD_BODIES.items():
        answer = change(signed_in, method, data=data, content_type=kind)
        assert problem(answer)["status"] == 400, name
    for kind in WRONG_KINDS:
        answer = change(signed_in, method, data=json.dumps(LAMP), content_type=kind)
        assert (problem(answer)["status"], kind) == (415, kind)
    assert rows(app) == before


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_bad_field_is_named_and_nothing_changes(
    signed_in: FlaskClient, app: Flask, method: str
) -> None:
    signed_in.post("/api/items", json=LAMP)
    before = rows(app)
    version = {"version": 1} if method == "PUT" else {}
    for field, value in BAD_FIELDS:
        data = json.dumps({**LAMP, **version, field: value})
        answer = change(signed_in, method, data=data, content_type="application/json")
        shown = field.encode("ascii", "backslashreplace").decode()
        assert (problem(answer)["status"], field) == (422, field)
        assert set(problem(answer)["errors"]) == {shown}
    assert rows(app) == before


def test_missing_fields_are_named(signed_in: FlaskClient, app: Flask) -> None:
    answer = signed_in.post("/api/items", json={"quantity": 1})
    assert problem(answer)["errors"] == {"name": "Enter a name."}
    signed_in.post("/api/items", json=LAMP)
    assert set(problem(signed_in.put("/items/1", json={"name": "New"}))["errors"]) == {"version"}
    assert set(problem(signed_in.post("/api/items", json={**LAMP, "version": 1}))["errors"]) == {
        "version"
    }
    assert [row["name"] for row in rows(app)] == ["Lamp"]


def test_a_body_far_larger_than_any_item_is_refused(signed_in: FlaskClient, app: Flask) -> None:
    answer = signed_in.post("/api/items", json={**LAMP, "description": "x" * 70_000})
    assert problem(answer)["status"] == 413
    assert rows(app) == []


def test_a_stale_version_is_a_conflict_that_says_what_to_do(
    signed_in: FlaskClient, app: Flask
) -> None:
    signed_in.post("/api/items", json=LAMP)
    signed_in.put("/items/1", json={"quantity": 4, "version": 1})
    before = rows(app)
    answer = signed_in.put("/items/1", json={"quantity": 5, "version": 1})
    assert problem(answer)["status"] == 409
    assert problem(answer)["detail"].startswith("This item was changed")
    assert rows(app) == before


CHANGES = [
    ("POST", "/api/items"), ("PUT", "/items/1"), ("PUT", "/api/items/1"), ("DELETE", "/items/1"),
    ("DELETE", "/api/items/1"),
]  # fmt: skip


@pytest.mark.settings(WTF_CSRF_ENABLED=True)
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_stranger_gets_401_and_not_a_login_page(
    client: FlaskClient, method: str, path: str
) -> None:
    answer = client.open(path, method=method, json=LAMP)
    assert (problem(answer)["status"], problem(answer)["title"]) == (401, "Please log in")


@pytest.mark.settings(WTF_CSRF_ENABLED=True)
def test_a_change_carries_the_token_that_the_application_gave(
    client: FlaskClient, user: Account
) -> None:
    form = client.get("/auth/login").get_data(as_text=True)
    (token,) = re.findall(r'name="csrf_token"[^>]*value="([^"]+)"', form)[:1]
    values = {"email": user.email, "password": PASSWORD, "csrf_token": token}
    assert client.post("/auth/login", data=values).status_code == 302

    for headers in ({}, {"X-CSRFToken": "made up"}):
        refused = client.post("/api/items", json=LAMP, headers=headers)
        assert problem(refused)["status"] == 400
        assert "/api/csrf-token" in problem(refused)["detail"]
    given = client.get("/api/csrf-token")
    assert given.headers["Cache-Control"] == "no-store"
    made = client.post("/api/items", json=LAMP, headers={"X-CSRFToken": given.json["csrf_token"]})
    assert made.status_code == 201


def test_somebody_elses_item_stays_as_it_is(
    app: Flask, user: Account, other_user: Account, admin: Account
) -> None:
    owner, other, administrator = (app.test_client() for _ in range(3))
    for one, account in ((owner, user), (other, other_user), (administrator, admin)):
        login(one, account)
    owner.post("/api/items", json=LAMP)
    before = rows(app)
    assert problem(other.put("/items/1", json={"quantity": 1, "version": 1}))["status"] == 403
    assert problem(other.delete("/items/1"))["status"] == 403
    assert rows(app) == before
    assert administrator.put("/items/1", json={"quantity": 1, "version": 1}).status_code == 200
    assert administrator.delete("/items/1").status_code == 204


def test_anybody_reads_the_list_page_by_page(signed_in: FlaskClient, app: Flask) -> None:
    for number in range(7):
        signed_in.post("/api/items", json={"name": f"Item {number}", "quantity": number})
    stranger = app.test_client()
    address, seen, pages = "/api/items?limit=3&sort=fewest&q=item", [], 0
    while address:
        page = stranger.get(address).json
        seen += [item["name"] for item in page["items"]]
        address, pages = page["next"], pages + 1
    assert (seen, pages) == ([f"Item {number}" for number in range(7)], 3)
    last = stranger.get("/api/items?limit=3&sort=fewest&q=item").json["next"]
    assert stranger.get(stranger.get(last).json["previous"]).json["items"][0]["name"] == "Item 0"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=-1", "limit"),
        ("limit=99999999999999999999", "limit"), ("limit=%D9%A3", "limit"), ("sort=owner", "sort"),
        ("after=zzz", "after"), ("before=%00", "before"), ("q=" + "x" * 201, "q"),
    ],
)  # fmt: skip
def test_a_bad_question_is_refused_by_name(client: FlaskClient, query: str, field: str) -> None:
    answer = client.get(f"/api/items?{query}")
    assert problem(answer)["status"] == 422
    assert set(problem(answer)["errors"]) == {field}


def test_a_nul_in_a_search_is_harmless(client: FlaskClient) -> None:
    assert client.get("/api/items?q=%00%ff").json["items"] == []


def test_an_item_with_a_picture_says_where_it_is(
    app: Flask, client: FlaskClient, user: Account
) -> None:
    from app.models.user import User

    with app.app_context():
        item_service.create_item(db.session.get(User, user.id), LAMP, picture())
    address = client.get("/api/items/1").json["image"]
    assert client.get(address).content_type == "image/webp"


@pytest.mark.parametrize("number", ["0", "999", "2147483648", "9223372036854775808", "9" * 40])
def test_an_unknown_item_is_not_found_by_any_method(
    signed_in: FlaskClient, app: Flask, number: str
) -> None:
    body = {"json": {"version": 1}}
    for method, extra in (("GET", {}), ("PUT", body), ("DELETE", {})):
        answer = signed_in.open(f"/api/items/{number}", method=method, **extra)
        assert problem(answer)["status"] == 404
    assert log_lines(app, "error") == []


def test_a_method_that_an_address_does_not_take_is_named(client: FlaskClient) -> None:
    answer = client.patch("/api/items/1", json={})
    assert problem(answer)["status"] == 405
    assert set(answer.headers["Allow"].split(", ")) >= {"GET", "PUT", "DELETE"}


def test_each_rule_of_the_blueprint_is_tested_here(
    app: Flask, make_app: Callable[..., Flask]
) -> None:
    rules = {rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith(bp.name)}
    tested = {path.replace("1", "<int:item_id>") for _, path in CHANGES} | {"/api/csrf-token"}
    assert rules == tested
