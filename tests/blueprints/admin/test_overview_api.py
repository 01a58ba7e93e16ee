from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.admin.overview_api import overview
from tests.helpers import log_lines
from tests.log_records import failed_request, made, put


def test_a_program_gets_the_figures_of_the_page(app: Flask, as_admin: FlaskClient) -> None:
    put(app, *failed_request("r-1"), made(action="request", status=200, duration_ms=5.0))
    answer = as_admin.get("/api/logs/overview?window=1h")
    figures = {one["name"]: one for one in answer.json["figures"]}
    assert (figures["error_rate"]["value"], figures["error_rate"]["over"]) == (50, True)
    assert answer.json["standouts"]["failures"][0]["fingerprint"] == "a1b2c3d4"
    assert answer.headers["Cache-Control"] == "no-store"
    (viewed,) = log_lines(app, "logs_viewed")
    assert viewed["details"] == {"page": "api overview", "window": "1h"}
    assert app.view_functions["admin_api.overview"] is overview
