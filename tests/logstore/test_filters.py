from app.logstore.contract import LogQuery
from app.logstore.filters import actions_are_rare, levels_are_rare


def test_one_common_value_makes_a_question_a_common_one() -> None:
    assert levels_are_rare(LogQuery(levels=("error", "CRITICAL")))
    assert not levels_are_rare(LogQuery(levels=("ERROR", "info")))
    assert actions_are_rare(LogQuery(actions=("login",)))
    assert not actions_are_rare(LogQuery(actions=("login", "request")))
    assert not levels_are_rare(LogQuery())
    assert not actions_are_rare(LogQuery())
