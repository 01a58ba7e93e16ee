from typing import Any

from flask import Flask
from sqlalchemy import text

from app.blueprints.admin import api as admin_api
from app.blueprints.admin import filters
from app.extensions import db
from app.logstore.record import LogRecord
from app.openapi.logs import PATHS, SCHEMAS
from app.services.log_language import MAX_LENGTH
from tests.helpers import bearer_of
from tests.log_records import failed_request, made, put
from tests.openapi.checking import Checked


def parameters() -> dict[str, Any]:
    return {one["name"]: one["schema"] for one in PATHS["/api/logs"]["get"]["parameters"]}


def test_the_parameters_are_those_that_are_read() -> None:
    told = parameters()
    assert set(told) == {*filters.FIELDS, "before", "limit"}
    assert told["q"]["maxLength"] == MAX_LENGTH
    assert told["range"]["enum"] == [*filters.RANGES, filters.CUSTOM]
    assert told["limit"]["maximum"] == admin_api.PAGE_SIZE_MAX
    assert told["limit"]["default"] == admin_api.PAGE_SIZE


def test_a_record_is_described_with_all_its_fields() -> None:
    # The store adds where a record came from.
    assert set(SCHEMAS["Record"]["properties"]) == {*LogRecord.__annotations__, "source", "seq"}


def test_real_answers_are_as_described_and_all_that_is_described_happens(app: Flask) -> None:
    admin = bearer_of(app, "ann@example.com", "admin")
    api = Checked(app)
    put(app, *failed_request("r-1"), *(made("needle") for _ in range(3000)))
    first = api.ask("GET", "/api/logs?limit=1&q=request:r-1", 200, headers=admin).json
    while first["next"]:
        first = api.ask("GET", first["next"], 200, headers=admin).json
    app.extensions["log_store"]._deadline = 0
    assert api.ask("GET", "/api/logs?q=x", 200, headers=admin).json["looked_back_to"]
    api.ask("GET", "/api/logs?q=level:x&limit=0", 422, headers=admin)
    api.ask("GET", "/api/logs", 401)
    api.ask("GET", "/api/logs", 403, headers=bearer_of(app, "bob@example.com"))
    with app.app_context(), db.engines["logs"].begin() as connection:
        connection.execute(text("DROP TABLE logs"))
    api.ask("GET", "/api/logs", 503, headers=admin)
    assert {one for one in api.described(*PATHS) if one[2] != "429"} == api.seen
