from flask import Flask

from app.extensions import db
from app.models.item import Item
from app.openapi.items import PATHS
from tests.helpers import bearer_of
from tests.openapi.checking import Checked

LAMP = {"name": "Lamp", "quantity": 3}
# Two who delete at once, a database that is gone, a flood: each has its own test elsewhere.
RARE = {"429", "503"}


def test_real_answers_are_as_described_and_all_that_is_described_happens(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    api = Checked(app)
    owner, other = bearer_of(app, "ann@example.com"), bearer_of(app, "bob@example.com")
    bad = {"Authorization": "Bearer gh_made-up"}
    one = "/api/items/1"

    assert api.ask("GET", "/api/items", 200).json["items"] == []
    for number in range(3):
        api.ask("POST", "/api/items", 201, json={**LAMP, "name": f"L{number}"}, headers=owner)
    first = api.ask("GET", "/api/items?limit=1&q=l&sort=name", 200).json
    middle = api.ask("GET", first["next"], 200).json
    assert middle["previous"] is not None
    with app.app_context():
        db.session.get(Item, 2).image = "a.webp"  # type: ignore[union-attr]
        db.session.commit()
    assert api.ask("GET", "/api/items/2", 200).json["image"] == "/items/2/image"
    api.ask("PUT", one, 200, json={"quantity": 1, "version": 1}, headers=owner)
    api.ask("GET", "/api/csrf-token", 200)

    api.ask("GET", "/api/items?limit=0&sort=x", 422)
    for method, path in (("POST", "/api/items"), ("PUT", one)):
        api.ask(method, path, 400, data="{", content_type="application/json", headers=owner)
        api.ask(method, path, 415, data="x", headers=owner)
        api.ask(method, path, 413, json={"name": "x" * 70_000}, headers=owner)
        api.ask(method, path, 422, json={"name": "", "version": 2}, headers=owner)
        api.ask(method, path, 401, json=LAMP)
    api.ask("PUT", one, 409, json={"quantity": 1, "version": 1}, headers=owner)
    for path in ("/api/items", one, "/api/csrf-token"):
        api.ask("GET", path, 401, headers=bad)
    for method, body in (("PUT", {"json": {"version": 1}}), ("DELETE", {})):
        api.ask(method, one, 403, headers=other, **body)
        api.ask(method, "/api/items/99", 404, headers=owner, **body)
    api.ask("GET", "/api/items/99", 404)
    api.ask("DELETE", one, 401)
    api.ask("DELETE", one, 204, headers=owner)
    with api._client.session_transaction() as session:
        session["_user_id"] = "1:1"
    for method, path in (("POST", "/api/items"), ("PUT", one), ("DELETE", one)):
        api.ask(method, path, 400, json=LAMP)

    told = {one for one in api.described(*PATHS) if one[2] not in RARE}
    assert told - api.seen == {("DELETE", "/api/items/{item_id}", "409")}
