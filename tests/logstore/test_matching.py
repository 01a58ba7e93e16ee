import itertools
from dataclasses import replace

import pytest

from app.logstore.contract import LogQuery
from app.logstore.matching import holds, matches
from app.logstore.record import normalise
from tests.logstore.filtered import FILTERED, FILTERS
from tests.logstore.stores import sample


def test_the_predicate_says_what_the_stores_say() -> None:
    records = [normalise(one) for one in FILTERED]
    for query, found in FILTERS:
        assert "".join(one["message"] for one in records if matches(query, one)) == found, query


def test_any_filter_leaves_out_of_any_other_what_it_selects() -> None:
    records = [normalise(one) for one in FILTERED]
    for (query, found), (unwanted, left_out) in itertools.product(FILTERS, FILTERS):
        both = replace(query, without=(*query.without, unwanted))
        kept = "".join(one["message"] for one in records if matches(both, one))
        assert kept == "".join(one for one in found if one not in left_out), both


@pytest.mark.parametrize(
    ("text", "found"),
    [("ÄRGER", True), ("ärger", True), ("örger", False), ("", True), ("ΟΔΟΣ", True), ("οδοσ", True),
     ("istanbul", False), ("İSTANBUL", True), ("5k", False)],
)  # fmt: skip
def test_letters_beyond_ascii_are_compared_one_by_one(text: str, found: bool) -> None:
    record = normalise(
        sample(message="ΟΔΟΣΑ 5\u212a", details={"note": "Ärger", "city": "İstanbul"})
    )
    assert holds(LogQuery(texts=(text,)), record) is found


@pytest.mark.parametrize(
    ("text", "found"),
    [("ÄRGER", True), ("ärger", True), ("örger", False), ("anything", False), ("", True),
     ('say "hi', True), ('SAY "ÄH', True), ("größe", True), ("\\", True), ("\\\\", False)],
)  # fmt: skip
def test_a_text_is_found_in_any_letter_case(text: str, found: bool) -> None:
    details = {"note": "Ärger", "said": 'Say "hi" and say "äh" \\ '}
    record = normalise(sample(details=details, exception={"message": "GRÖßE"}))
    assert holds(LogQuery(texts=(text,)), record) is found
