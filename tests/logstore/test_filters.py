from app.logstore.contract import LogQuery
from app.logstore.filters import (
    actions_are_rare,
    alternatives,
    is_exact,
    levels_are_rare,
)


def test_one_common_value_makes_a_question_a_common_one() -> None:
    assert levels_are_rare(LogQuery(levels=("error", "CRITICAL")))
    assert not levels_are_rare(LogQuery(levels=("ERROR", "info")))
    assert actions_are_rare(LogQuery(actions=("login",)))
    assert not actions_are_rare(LogQuery(actions=("login", "request")))
    assert not levels_are_rare(LogQuery())
    assert not actions_are_rare(LogQuery())


def test_only_what_every_store_compares_alike_is_exact() -> None:
    long, cased = LogQuery(texts=("x" * 1001,)), LogQuery(texts=("ä",))
    assert is_exact(LogQuery(texts=("Disk full",), user_id="ä", without=(LogQuery(),)))
    assert not is_exact(long)
    assert not is_exact(LogQuery(without=(LogQuery(without=(cased,)),)))


def test_values_of_one_field_are_alternatives() -> None:
    query = LogQuery(equal=(("host", "a"), ("method", "GET"), ("host", "b")))
    assert alternatives(query) == {"host": ["a", "b"], "method": ["GET"]}
