import pytest

from app.logstore.contract import LogQuery
from app.logstore.filters import actions_are_rare, has_text, levels_are_rare
from app.logstore.record import normalise
from tests.logstore.stores import sample


@pytest.mark.parametrize(
    ("text", "found"),
    [("ÄRGER", True), ("ärger", True), ("örger", False), ("anything", False), ("", True),
     ('say "hi', True), ('SAY "ÄH', True), ("größe", True), ("\\", True), ("\\\\", False)],
)  # fmt: skip
def test_a_text_is_found_in_any_letter_case(text: str, found: bool) -> None:
    details = {"note": "Ärger", "said": 'Say "hi" and say "äh" \\ '}
    record = normalise(sample(details=details, exception={"message": "GRÖßE"}))
    assert has_text(LogQuery(text=text), record) is found


def test_one_common_value_makes_a_question_a_common_one() -> None:
    assert levels_are_rare(LogQuery(levels=("error", "CRITICAL")))
    assert not levels_are_rare(LogQuery(levels=("ERROR", "info")))
    assert actions_are_rare(LogQuery(actions=("login",)))
    assert not actions_are_rare(LogQuery(actions=("login", "request")))
    assert not levels_are_rare(LogQuery())
    assert not actions_are_rare(LogQuery())
