from typing import Any

from flask import Flask
from sqlalchemy import text

from app.extensions import db
from app.openapi.records import PATHS
from app.services.log_around import OF
from app.services.log_export import FORMATS
from tests.helpers import bearer_of
from tests.log_records import failed_request, put
from tests.openapi.checking import Checked


def choices(path: str, name: str) -> list[Any]:
    found = PATHS[path]["get"]["parameters"]
    return next(one["schema"]["enum"] for one in found if one["name"] == name)


def test_the_choices_are_those_that_are_read() -> None:
    assert choices("/api/logs/{record_id}/context", "of") == list(OF)
    assert choices("/api/logs/export", "format") == list(FORMATS)


def test_real_answers_are_as_described_and_all_that_is_described_happens(app: Flask) -> None:
    admin = bearer_of(app, "ann@example.com", "admin")
    api = Checked(app)
    record_id = put(app, *failed_request("r-1"))[0]["id"]
    one = f"/api/logs/{record_id}"
    cursor = api.ask("GET", "/api/logs/tail", 200, headers=admin).json["cursor"]
    api.ask("GET", f"/api/logs/tail?cursor={cursor}", 204, headers=admin)
    for address in (one, f"{one}/context?of=request", "/api/logs/requests/r-1",
                    "/api/logs/export", "/api/logs/export?format=csv"):  # fmt: skip
        api.ask("GET", address, 200, headers=admin)
    for address in ("/api/logs/1", "/api/logs/1/context", "/api/logs/requests/r-2"):
        api.ask("GET", address, 404, headers=admin)
    for address in (f"{one}/context?of=host", "/api/logs/tail?q=a:b", "/api/logs/export?format=x"):
        api.ask("GET", address, 422, headers=admin)
    addresses = ["/api/logs/tail", "/api/logs/export", "/api/logs/requests/r-1", one,
                 f"{one}/context"]  # fmt: skip
    other = bearer_of(app, "bob@example.com")
    for address in addresses:
        api.ask("GET", address, 401)
        api.ask("GET", address, 403, headers=other)
    with app.app_context(), db.engines["logs"].begin() as connection:
        connection.execute(text("DROP TABLE logs"))
    for address in addresses:
        api.ask("GET", address, 503, headers=admin)
    assert {told for told in api.described(*PATHS) if told[2] != "429"} == api.seen
