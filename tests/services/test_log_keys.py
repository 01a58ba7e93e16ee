import re

import pytest

from app.services.log_keys import (
    ALTERNATIVES,
    KEYS,
    SYNONYMS,
    BadValue,
    instead_of_two,
    nearest,
    request_id_error,
    slots,
)
from app.services.log_language import parse
from app.services.log_service import LogQuery
from tests.helpers import ROOT


def test_every_example_and_every_offered_value_is_one_that_its_key_takes() -> None:
    for name, key in KEYS.items():
        given = key.example.removeprefix(f"{name}:").replace("…", "")
        for value in (given, *key.values):
            if value not in {">=debug", ">=critical"}:
                assert LogQuery(**key.read(value)), (name, value)


def test_other_names_lead_to_keys_that_there_are() -> None:
    assert set(SYNONYMS.values()) <= set(KEYS)
    assert not set(SYNONYMS) & set(KEYS)


def test_the_documentation_has_every_key_and_only_examples_that_work() -> None:
    text = (ROOT / "docs/searching.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|.*\| (`.*`) \|$", text, re.MULTILINE)
    assert [name for name, _ in rows] == list(KEYS)
    for _, examples in rows:
        for example in re.findall("`([^`]+)`", examples):
            assert parse(example).problems == (), example


def test_two_terms_for_one_place_are_told_apart_from_alternatives() -> None:
    assert slots("level", KEYS["level"].read("error")) == set()
    assert slots("host", KEYS["host"].read("a")) == set()
    assert slots("status", KEYS["status"].read(">=400")) == {"status_min"}
    assert slots("item", KEYS["item"].read("4")) == slots("target", KEYS["target"].read("a/b"))


def test_the_documentation_says_for_which_keys_several_values_are_alternatives() -> None:
    text = " ".join((ROOT / "docs/searching.md").read_text().split())
    listed = ", ".join(f"`{key}`" for key in ALTERNATIVES[:-1])
    assert f"Several values of {listed} or `{ALTERNATIVES[-1]}` are alternatives" in text


@pytest.mark.parametrize("key", KEYS)
def test_several_values_of_a_key_are_alternatives_or_explained(key: str) -> None:
    term = KEYS[key].example.rstrip("…")
    problems = parse(f"{term} {term}").problems
    assert bool(problems) is (key not in ALTERNATIVES)
    said = instead_of_two(key)
    assert all(problem.message.endswith(said) for problem in problems)
    # What it advises can be asked.
    assert parse(" ".join(re.findall(r"\w+:[^\s.]+", said))).problems == ()


@pytest.mark.parametrize(("word", "near"), [("eror", "error"), ("ERRORR", "error"), ("qq", None)])
def test_a_misspelt_word_is_guessed(word: str, near: str | None) -> None:
    assert nearest(word, ("error", "info")) == near


@pytest.mark.parametrize("value", ["", "a/b", "ä", "x" * 65, "a\n"])
def test_what_is_no_request_id_is_told(value: str) -> None:
    assert request_id_error(value)
    assert request_id_error("AZ.az_09-") is None
    with pytest.raises(BadValue):
        KEYS["request"].read(value)
