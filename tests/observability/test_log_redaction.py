import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.observability import log_redaction
from app.observability.log_formatters import to_json
from app.observability.log_redaction import (
    MASK,
    add_secret,
    is_sensitive,
    longest_first,
    mask,
    may_show_secret,
    plain_copy,
    redact,
    redact_text,
    spellings,
    use_request_secrets,
)
from tests import hostile

CANARY = "Zq9xCanary7"


@pytest.mark.parametrize(
    "key",
    ["password", "Password", "user_password", "passwordConfirm", "newPassword", "pwd", "secret",
     "SECRET_KEY", "client_secret", "token", "refreshTokens", "tokenValue", "csrf_token",
     "api_key", "apiKey", "X-Api-Key", "accessKeyId", "Authorization", "Proxy-Authorization",
     "cookie", "Set-Cookie", "session", "session_id", "JSESSIONID", "dsn", "SENTRY_DSN",
     "credentials", "private key", "jwt", "password_hash"],
)  # fmt: skip
def test_a_key_that_names_a_secret_is_sensitive(key: str) -> None:
    assert is_sensitive(key)
    assert redact({key: CANARY}) == {key: MASK}


@pytest.mark.parametrize(
    "key",
    ["name", "path", "status", "description", "keyboard", "monkey", "author", "compass",
     "passenger", "session_version", "password_changed", "db_count", "user_id", "item_id", ""],
)  # fmt: skip
def test_other_keys_are_not(key: str) -> None:
    assert not is_sensitive(key)
    assert redact({key: "chair"}) == {key: "chair"}


def test_whether_there_is_a_secret_may_be_seen() -> None:
    assert redact({"password": None, "token": "", "csrf": True}) == {
        "password": None, "token": "", "csrf": True,
    }  # fmt: skip
    assert redact({"password": 0, "token": 1}) == {"password": MASK, "token": MASK}


sensitive_keys = st.sampled_from(["password", "API_KEY", "authToken", "Cookie", "client-secret"])
wrappers = st.recursive(
    sensitive_keys.map(lambda key: {key: CANARY})
    | sensitive_keys.map(lambda key: {key: [CANARY, {"inner": CANARY}]})
    | sensitive_keys.map(lambda key: (key, CANARY))
    | sensitive_keys.map(lambda key: f"{key}={CANARY}")
    | sensitive_keys.map(lambda key: {"text": json.dumps({key: CANARY})})
    | sensitive_keys.map(lambda key: {"text": repr({key: CANARY})}),
    lambda inner: (
        st.lists(inner | hostile.scalars, min_size=1, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, min_size=1, max_size=3)
        | st.tuples(inner)
    ),
    max_leaves=6,
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(wrappers)
def test_a_secret_under_a_sensitive_key_never_appears_at_any_depth(value: Any) -> None:
    assert CANARY not in str(redact(value))


@settings(derandomize=True, deadline=None, max_examples=150)
@given(hostile.values)
def test_any_value_becomes_plain_json_and_nothing_raises(value: Any) -> None:
    plain = redact(value)
    assert orjson.loads(to_json({"value": plain})) == json.loads(to_json({"value": plain}))


@pytest.mark.parametrize("value", hostile.ODD, ids=lambda value: type(value).__name__)
def test_an_odd_value_is_shown_somehow_and_at_once(value: Any) -> None:
    began = time.process_time()
    json.dumps(redact({"value": value, "password": value}), allow_nan=False)
    assert time.process_time() - began < 2


def test_a_number_stays_a_number_where_json_has_it() -> None:
    values = [1, -(2**63), 2**63 - 1, 2**63, 1.5, float("nan"), True, None]
    assert redact(values) == [1, -(2**63), 2**63 - 1, str(2**63), 1.5, "nan", True, None]
    assert redact([1, 10**5000, 2]) == [1, "<int>", 2]


def test_depth_and_length_are_bounded() -> None:
    deep: Any = "end"
    for _ in range(20):
        deep = [deep]
    assert "end" not in str(redact(deep))
    assert len(redact(list(range(1000)))) == 200


def test_redacting_twice_is_redacting_once() -> None:
    value = {"password": CANARY, "text": f"token={CANARY}", "url": f"http://u:{CANARY}@h/"}
    assert redact(redact(value)) == redact(value)


@pytest.fixture
def _own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_redaction, "_process_secrets", [])


@pytest.mark.usefixtures("_own_secrets")
@pytest.mark.parametrize("secret", ["pä ss/wörd+1", 'quo"te\\d\n', "plain-secret", "per%20cent"])
def test_a_literal_of_this_process_is_masked_in_each_of_its_spellings(secret: str) -> None:
    add_secret(secret)
    for form in spellings(secret):
        assert redact_text(f"<{form}>") == f"<{MASK}>"
    for shown in (repr(secret), json.dumps(secret), repr(secret.encode())):
        assert redact({"any": shown})["any"].strip("b'\"") == MASK


@pytest.mark.usefixtures("_own_secrets")
def test_a_secret_that_holds_another_is_masked_whole() -> None:
    add_secret("abcdef")
    add_secret("abcdefghijkl")
    assert redact_text("<abcdefghijkl>") == f"<{MASK}>"


@pytest.mark.usefixtures("_own_secrets")
def test_short_literals_leave_ordinary_words_alone() -> None:
    add_secret("item")
    add_secret("")
    assert redact_text("item") == "item"
    assert longest_first(["item", "longer-one", "longest-of-all"]) == [
        "longest-of-all", "longer-one",
    ]  # fmt: skip


def test_a_requests_literals_end_with_it() -> None:
    use_request_secrets(lambda: (CANARY,))
    try:
        assert redact_text(f"x {CANARY}") == f"x {MASK}"
        assert redact({CANARY: 1}) == {MASK: 1}
    finally:
        use_request_secrets(None)
    assert redact_text(CANARY) == CANARY


def test_a_giant_text_is_cut_and_not_in_the_middle_of_a_secret() -> None:
    use_request_secrets(lambda: (CANARY,))
    try:
        limit = log_redaction._MAX_TEXT
        shown = redact_text("x" * (limit - 5) + CANARY + "y" * 100_000)
    finally:
        use_request_secrets(None)
    assert len(shown) <= limit + 1
    assert CANARY[:5] not in shown


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.text(max_size=40))
def test_spellings_exist_for_any_text(value: str) -> None:
    assert value in spellings(value)
    assert all(isinstance(one, str) for one in spellings("\ud800" + value))


def test_the_value_of_a_named_field_is_masked_when_its_name_says_so() -> None:
    fields = [{"name": "password", "value": "hunter22"}, {"name": "city", "value": "Bern"}]
    assert redact(fields) == [
        {"name": "password", "value": MASK},
        {"name": "city", "value": "Bern"},
    ]


@settings(derandomize=True, deadline=None)
@given(
    st.recursive(
        hostile.values | st.sampled_from(["password", "a pin", "pin=1", "inside", "token: x"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile.names, inner),
        max_leaves=8,
    )
)
def test_what_passes_the_fast_look_would_not_be_changed(value: Any) -> None:
    texts: list[str] = []
    plain = plain_copy(value, texts)
    if not may_show_secret(texts):
        assert mask(plain) == plain
