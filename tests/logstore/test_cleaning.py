import json
from typing import Any

import pytest

from app.logstore.cleaning import clean_text, clean_value, describe


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no")


class Shouting(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [("plain", "plain"), ("größe", "größe"), ("a\0", "a\ufffd"), ("ö\0\udfff", "ö\ufffd\ufffd")],
)
def test_text_loses_only_what_cannot_be_stored(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@pytest.mark.parametrize(
    ("value", "text"), [(Broken(), "<Broken>"), (Shouting("x"), "x"), (5, "5")]
)
def test_every_object_can_be_described(value: Any, text: str) -> None:
    assert describe(value) == text


@pytest.mark.parametrize(
    "value",
    [10**20_000, [[]] * 50_000, {str(i): i for i in range(50_000)}],
    ids=["digits", "lists", "keys"],
)
def test_a_value_of_any_size_becomes_bounded_json(value: Any) -> None:
    assert len(json.dumps(clean_value(value))) < 1_000_000
