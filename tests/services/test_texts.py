import pytest

from app.services.texts import is_plain, is_visible, turns_text


@pytest.mark.parametrize("text", ["", "a b", "张伟", "👩‍👧", "a\u00a0b", "\u200f"])
def test_what_people_type_on_one_line_is_plain(text: str) -> None:
    assert is_plain(text)
    assert not turns_text(text)


@pytest.mark.parametrize("char", ["\0", "\n", "\x1b", "\x85", "\u2028", "\u2029", "\ud800"])
def test_what_breaks_a_line_or_a_database_is_not_plain_unless_allowed(char: str) -> None:
    assert not is_plain(f"a{char}b")
    assert is_plain(f"a{char}b", allowed=char)


@pytest.mark.parametrize(
    ("text", "seen"),
    [("a", True), ("-", True), (" ٣ ", True), ("👍", True), ("", False), (" \u200b\ufe0f", False)],
)
def test_a_text_is_visible_when_it_shows_something(text: str, seen: bool) -> None:
    assert is_visible(text) is seen


@pytest.mark.parametrize("char", "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_controls_of_direction_are_found(char: str) -> None:
    assert turns_text(f"a{char}b")
