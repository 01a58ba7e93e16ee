import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.account_rules import (
    email_problem,
    name_problem,
    normal_email,
    password_problem,
    require,
)
from app.services.errors import Invalid
from app.services.texts import is_plain

# Nothing to see, and a text that reads as another one.
UNSEEN = ["\u200b", "\u2060 \u00ad", "\ufe0f", "Ann\u202egnp.exe", "\u2066admin"]


@pytest.mark.parametrize(
    "email",
    ["a@example.com", "first.last+tag@mail.example.co.uk", "admin@localhost", "o'neil@example.com"],
)
def test_ordinary_addresses_are_accepted(email: str) -> None:
    assert email_problem(email) is None


@pytest.mark.parametrize(
    "email",
    [
        "", "a", "@example.com", "a@", "a b@example.com", "a@example..com", "a@@example.com",
        "a@example.com\nBcc: b@example.com", "a\0@example.com", "a@example.com,b@example.com",
        "<a@example.com>", "ä@example.com", "a@exämple.com", "x" * 65 + "@example.com",
        "a@" + "b" * 260, "A@example.com",
    ],
)  # fmt: skip
def test_other_addresses_are_refused(email: str) -> None:
    assert email_problem(email)


def test_addresses_are_kept_in_lower_case_without_spaces_around() -> None:
    assert normal_email(" Ann@Example.COM ") == "ann@example.com"


@pytest.mark.parametrize(
    "name", ["", "  ", "x" * 81, "a\0b", "a\nb", "a\u2028b", "a\ud800b", *UNSEEN]
)
def test_names_are_one_short_line(name: str) -> None:
    assert name_problem(name)


@pytest.mark.parametrize("name", ["Ann", "Élodie O'Neil", "张伟", "👩‍👧"])
def test_names_of_all_people_are_accepted(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    ("password", "accepted"),
    [
        ("abcdefghi", False),
        ("abcdefghij", True),
        ("abcd" * 32, False),
        ("abcde" * 2, True),
        ("x" * 124 + "abcd", True),
        ("x" * 125 + "abcd", False),
        ("all lower case", True),
        ("пароль подлиннее", True),
        ("with\0a NUL inside", False),
        ("with\ta tab inside", False),
        ("Ann@Example.com", False),
        (" ann@example.com", False),
        ("ann@example.com.", True),
    ],
)
def test_a_password_is_long_and_not_the_address(password: str, accepted: bool) -> None:
    assert (password_problem(password, "ann@example.com") is None) is accepted


@given(st.text())
def test_a_plain_text_is_one_line_that_every_database_takes(text: str) -> None:
    if is_plain(text):
        assert "\0" not in text
        assert len(text.splitlines()) <= 1
        text.encode()


def test_all_fields_with_a_problem_are_named_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        require(email="No.", name=None, password="Too short.")
    assert refused.value.errors == {"email": "No.", "password": "Too short."}


def test_without_problems_nothing_is_refused() -> None:
    require(email=None)
