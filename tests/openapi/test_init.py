import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.openapi import PATHS, describe, path_of
from tests.helpers import bearer_of
from tests.openapi.checking import Checked

METHODS = {"get", "put", "post", "delete", "patch"}


def operations(paths: dict[str, Any]) -> set[tuple[str, str]]:
    return {(path, method) for path, told in paths.items() for method in METHODS & set(told)}


def routes(app: Flask) -> set[tuple[str, str]]:
    return {
        (path_of(rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_each_address_is_described_and_each_described_one_is_there(app: Flask) -> None:
    assert operations(PATHS) == routes(app)
    assert operations(describe(app)["paths"]) == routes(app)


def test_the_document_is_served_to_everybody_and_is_valid(app: Flask, client: FlaskClient) -> None:
    document = Checked(app).ask("GET", "/api/openapi.json", 200).get_json()
    OpenAPIV31SpecValidator(document).validate()
    assert document == describe(app)
    ids = [PATHS[path][method]["operationId"] for path, method in operations(PATHS)]
    assert len(set(ids)) == len(ids)
    # All that is defined is used.
    for kind, parts in document["components"].items():
        for name in parts if kind != "securitySchemes" else ():
            assert f"#/components/{kind}/{name}'" in str(document), (kind, name)


def test_each_parameter_of_a_path_is_described(app: Flask) -> None:
    for path, told in PATHS.items():
        named = {one["name"] for one in told.get("parameters", []) if one["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), path


@pytest.mark.parametrize(
    ("path", "status", "name", "said"),
    [
        ("/api/items?srot=name", 422, "srot", "Did you mean sort?"),
        ("/api/logs?rnage=1h", 422, "rnage", "Did you mean range?"),
        ("/api/logs/errors?windows=1h", 400, "windows", "Did you mean window?"),
        ("/api/logs/errors?xyz=1", 400, "xyz", "Use window, state."),
        ("/api/logs/export?limit=1", 422, "limit", "Use q, range, from, to, before, format."),
    ],
)
def test_a_parameter_that_an_address_does_not_have_is_named(
    app: Flask, client: FlaskClient, path: str, status: int, name: str, said: str
) -> None:
    answer = client.get(path, headers=bearer_of(app, "ann@example.com", "admin"))
    assert answer.status_code == status
    assert said in answer.get_json()["errors"][name]
    everybody = path.startswith("/api/items")
    assert client.get(path).status_code == (422 if everybody else 401)
    other = bearer_of(app, "bob@example.com")
    assert client.head(path, headers=other).status_code == (422 if everybody else 403)


def test_very_many_unknown_parameters_make_no_long_answer(client: FlaskClient) -> None:
    long = "x" * 5_000
    answer = client.get(f"/api/items?{long}=1&{'&'.join(f'y{n}=1' for n in range(100))}")
    errors = answer.get_json()["errors"]
    assert (len(errors), max(map(len, errors))) == (10, 100)


def test_addresses_without_parameters_and_pages_take_what_others_add(client: FlaskClient) -> None:
    for path in ("/api/openapi.json", "/items", "/auth/login"):
        assert client.get(f"{path}?utm_source=mail").status_code == 200


def test_what_was_taken_out_of_the_application_is_not_described() -> None:
    assert describe_without_routes() == {}


def describe_without_routes() -> Any:
    bare = Flask("bare", static_folder=None)
    bare.config["RELEASE"] = "1"
    return describe(bare)["paths"]
