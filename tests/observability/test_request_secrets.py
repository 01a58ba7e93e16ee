from base64 import b64encode
from typing import Any

import pytest
from flask import Flask, request

from app.observability.log_redaction import redact_text, use_request_secrets
from app.observability.request_secrets import RequestSecrets, sensitive_values

CANARY = "Zq9xCanary7"
app = Flask("shop")


def secrets_of(path: str = "/", **kwargs: Any) -> set[str]:
    with app.test_request_context(path, **kwargs):
        return set(RequestSecrets(request)())


@pytest.mark.parametrize(
    "given",
    [
        {"headers": {"X-Api-Key": CANARY}},
        {"headers": {"Authorization": f"Bearer {CANARY}"}},
        {"headers": {"Authorization": "Basic " + b64encode(f"u:{CANARY}".encode()).decode()}},
        {"headers": {"Cookie": f"theme={CANARY}"}},
        {"headers": {"Cookie": f"theme=first; theme={CANARY}"}},
        {"path": f"/?token={CANARY}"},
        {"path": f"/?a=1&password=other&password={CANARY}"},
    ],
)
def test_what_comes_with_the_head_is_known_from_the_start(given: dict[str, Any]) -> None:
    assert CANARY in secrets_of(**given)


def test_a_token_in_the_path_is_known() -> None:
    with app.test_request_context("/"):
        request.view_args = {"token": CANARY, "item_id": 42}
        assert CANARY in RequestSecrets(request)()


def test_a_form_counts_from_when_the_view_has_read_it() -> None:
    with app.test_request_context("/", method="POST", data={"password": CANARY, "name": "chair"}):
        secrets = RequestSecrets(request)
        assert CANARY not in secrets()
        assert "form" not in vars(request)
        request.form["name"]
        assert CANARY in secrets()
        assert "chair" not in secrets()


def test_a_json_body_counts_at_any_depth_and_asking_reads_no_body() -> None:
    body = {"user": {"credentials": [{"value": CANARY, "pin": 12345678}]}, "name": "chair-1"}
    with app.test_request_context("/", method="POST", json=body):
        secrets = RequestSecrets(request)
        assert CANARY not in secrets()
        assert request.get_json() == body
        assert {CANARY, "12345678"} <= set(secrets())
        assert "chair-1" not in secrets()


def test_the_longest_comes_first_whatever_it_came_with() -> None:
    data = {"password": "abcdefghij"}
    with app.test_request_context("/?token=abcdef", method="POST", data=data):
        secrets = RequestSecrets(request)
        request.form["password"]
        lengths = [len(one) for one in secrets()]
        assert lengths == sorted(lengths, reverse=True)
        use_request_secrets(secrets)
        try:
            assert redact_text("<abcdefghij>") == "<[redacted]>"
        finally:
            use_request_secrets(None)


@pytest.mark.parametrize(
    "given",
    [
        {"headers": {"Authorization": "Basic é"}},
        {"headers": {"Authorization": "Basic !!!"}},
        {"headers": {"Authorization": "Basic /w=="}},
        {"headers": {"Authorization": "alone"}},
        {"headers": {"Cookie": "é=ü; ; ="}},
        {"path": "/?password=%ff%00"},
    ],
)
def test_a_hostile_head_raises_nothing(given: dict[str, Any]) -> None:
    assert isinstance(secrets_of(**given), set)


@pytest.mark.parametrize("value", ["\ud800surrogate", "\x00" * 10, "\u2028line-end", "İİİİİİ"])
def test_a_hostile_value_raises_nothing(value: str) -> None:
    with app.test_request_context("/", method="POST", json={"password": value}):
        request.get_json()
        assert value in RequestSecrets(request)()


def test_a_stranger_cannot_make_every_record_slow() -> None:
    pairs = "&".join(f"password=value{number}" for number in range(5000))
    assert len(secrets_of(f"/?{pairs}")) < 1000
    found = secrets_of(headers={f"X-Api-Key-{number}": "<ü>" * 9000 for number in range(100)})
    assert 1 <= len(found) <= 200
    assert max(map(len, found)) < 50_000


def test_values_below_a_sensitive_name_are_found_and_others_not() -> None:
    value = {"token": ["one", {"x": 2.5}], "name": "three", "list": [{"api_key": 4}], "pwd": None}
    assert set(sensitive_values(value)) == {"one", "2.5", "4"}
