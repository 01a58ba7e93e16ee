import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.openapi import PATHS, describe, path_of
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


def test_what_was_taken_out_of_the_application_is_not_described() -> None:
    assert describe_without_routes() == {}


def describe_without_routes() -> Any:
    bare = Flask("bare", static_folder=None)
    bare.config["RELEASE"] = "1"
    return describe(bare)["paths"]
