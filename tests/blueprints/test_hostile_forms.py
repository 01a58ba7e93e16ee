"""What browsers never send to the pages' forms, and anybody else can."""

import re
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.helpers import Account, login

AS_JSON = ["{}", '{"quantity": 5, "email": 5, "version": []}', "[1, 2]", '"x"', "null", "5", "{"]
FIELDS = [
    "name", "category", "quantity", "description", "image", "without_image", "version", "email",
    "password", "repeat", "current", "keep", "csrf_token",
]  # fmt: skip


def bodies() -> list[dict[str, Any]]:
    files = {name: (BytesIO(b"5"), "file.txt") for name in FIELDS}
    lists = {name: ["a", "b"] for name in FIELDS}
    return [
        *({"data": text, "content_type": "application/json"} for text in AS_JSON),
        {"data": files, "content_type": "multipart/form-data"},
        {"data": lists},
        {"data": dict.fromkeys(FIELDS, "text")},
        {"data": b"\xff", "content_type": "multipart/form-data; boundary=x"},
    ]


@pytest.mark.parametrize("signed_in", [False, True])
def test_no_form_fails_on_json_lists_or_files(
    app: Flask, client: FlaskClient, user: Account, signed_in: bool
) -> None:
    rules = [rule.rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    pages = [rule for rule in rules if not rule.startswith("/api") and "delete" not in rule]
    assert len(pages) >= 8
    if signed_in:
        login(client, user)
        # The pages that change an item need one.
        client.post("/api/items", json={"name": "Lamp"})
        session = client.get_cookie("session")
        assert session is not None
    for page in pages:
        for body in bodies():
            if signed_in:
                # Logging in takes a quarter of a second; what a page did to the session is undone.
                client.set_cookie("session", session.value)
            answer = client.post(re.sub(r"<[^>]+>", "1", page), **body)
            assert answer.status_code < 500, (page, body)
            client.delete_cookie("session")
