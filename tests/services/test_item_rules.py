import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.models.item import CATEGORY_MAX, DESCRIPTION_MAX, NAME_MAX, QUANTITY_MAX
from app.services.errors import Invalid
from app.services.item_rules import FIELDS, clean_search, clean_values, clean_version

GOOD = {"name": "Lamp", "category": "Light", "quantity": 3, "description": "Warm.\n\nWhite."}
# JSON as the standard library reads it: NaN, infinities and lone surrogates included.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def test_good_values_pass_as_they_are() -> None:
    assert clean_values(GOOD) == GOOD


def test_space_around_texts_and_the_line_ends_of_browsers_are_tidied() -> None:
    cleaned = clean_values({"name": "  Lamp ", "description": "a\r\nb "})
    assert cleaned == {"name": "Lamp", "description": "a\nb"}


def test_a_letter_with_an_accent_is_stored_in_one_way_however_it_was_typed() -> None:
    assert clean_values({"name": "cafe\u0301"})["name"] == "caf\u00e9"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "Enter a name."),
        ("name", "   ", "Enter a name."),
        ("name", "\u200b", "Enter a name."),
        ("name", "a\u202egnp.exe", "Use only letters, digits, signs and spaces."),
        ("description", "\u2066", "Use only letters, digits, signs and spaces."),
        ("name", None, "This must be text."),
        ("name", 5, "This must be text."),
        ("name", ["a"], "This must be text."),
        ("name", "x" * (NAME_MAX + 1), f"Use at most {NAME_MAX} characters; this has 121."),
        ("name", "a\x00b", "Use only letters, digits, signs and spaces."),
        ("name", "a\nb", "Use only letters, digits, signs and spaces."),
        ("name", "a\u2028b", "Use only letters, digits, signs and spaces."),
        ("name", "\ud800", "Use only letters, digits, signs and spaces."),
        ("category", "x" * (CATEGORY_MAX + 1), "Use at most 60 characters; this has 61."),
        ("category", None, "This must be text."),
        ("description", "x" * (DESCRIPTION_MAX + 1), "Use at most 4000 characters; this has 4001."),
        ("description", "a\x1b[31m", "Use only letters, digits, signs and spaces."),
        ("description", {}, "This must be text."),
        ("quantity", "3", "Enter a whole number."),
        ("quantity", 1.0, "Enter a whole number."),
        ("quantity", float("nan"), "Enter a whole number."),
        ("quantity", True, "Enter a whole number."),
        ("quantity", None, "Enter a whole number."),
        ("quantity", -1, f"Enter a whole number from 0 to {QUANTITY_MAX}."),
        ("quantity", 2**31, f"Enter a whole number from 0 to {QUANTITY_MAX}."),
        ("quantity", 10**40, f"Enter a whole number from 0 to {QUANTITY_MAX}."),
        ("owner_id", 1, "This field is not known. Use name, category, quantity, description."),
    ],
)
def test_a_bad_value_is_refused_and_its_field_is_named(
    field: str, value: object, message: str
) -> None:
    with pytest.raises(Invalid) as refused:
        clean_values({**GOOD, field: value})
    assert refused.value.errors == {field: message}


def test_all_bad_fields_are_named_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        clean_values({"category": 1, "quantity": -1, "colour": "red"})
    assert set(refused.value.errors) == {"name", "category", "quantity", "colour"}


def test_only_a_change_may_leave_the_name_out() -> None:
    assert clean_values({"quantity": 1}, partial=True) == {"quantity": 1}
    with pytest.raises(Invalid):
        clean_values({"quantity": 1})


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*FIELDS, "x\ud800"]) | st.text(), json_values))
def test_whatever_is_sent_is_either_refused_or_fits_the_database(values: dict[str, object]) -> None:
    try:
        cleaned = clean_values(values)
    except Invalid as refused:
        "".join([*refused.errors, *refused.errors.values()]).encode()
        return
    texts = [value for value in cleaned.values() if isinstance(value, str)]
    assert all("\x00" not in text for text in texts)
    "".join(texts).encode()
    assert 0 <= cleaned.get("quantity", 0) < 2**31
    assert 1 <= len(cleaned["name"]) <= NAME_MAX


@pytest.mark.parametrize("value", [None, "", "1", 0, -1, True, 1.5, [1]])
def test_an_edit_must_say_which_version_it_began_from(value: object) -> None:
    with pytest.raises(Invalid) as refused:
        clean_version(value)
    assert set(refused.value.errors) == {"version"}


@pytest.mark.parametrize(
    ("text", "words"),
    [("", []), ("  Red   BIKE ", ["red", "bike"]), ("a\x00b", ["a", "b"]), ("ÄPFEL", ["äpfel"])],
)
def test_a_search_is_words_without_letter_case(text: str, words: list[str]) -> None:
    assert clean_search(text) == words


def test_an_endless_search_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        clean_search("x" * 201)
    assert set(refused.value.errors) == {"q"}
