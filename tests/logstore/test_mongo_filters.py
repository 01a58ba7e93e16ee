from typing import Any

import pytest

from app.logstore.contract import LogQuery
from app.logstore.mongo_filters import all_of, indexed, scanned

OPERATOR: Any = {"$ne": None}


@pytest.mark.parametrize(
    "query",
    [
        LogQuery(user_id=OPERATOR),
        LogQuery(request_id=OPERATOR),
        LogQuery(fingerprint=OPERATOR),
        LogQuery(account=OPERATOR),
        LogQuery(route=OPERATOR),
        LogQuery(texts=(OPERATOR,)),
        LogQuery(actions=(OPERATOR,)),
        LogQuery(actions=("request", OPERATOR)),
        LogQuery(without=(LogQuery(actions=(OPERATOR,)),)),
        LogQuery(status_min=OPERATOR),
        LogQuery(min_duration_ms=OPERATOR),
    ],
)
def test_what_is_no_text_or_number_is_refused_before_it_reaches_the_database(
    query: LogQuery,
) -> None:
    with pytest.raises(TypeError):
        all_of([*indexed(query), *scanned(query)])


def test_a_text_that_looks_like_an_operator_is_a_text() -> None:
    query = LogQuery(user_id="$ne", actions=("$where",), texts=("$(a|b)*",))
    assert indexed(query) == [{"user_id": {"$eq": "$ne"}}, {"rare_action": {"$in": ["$where"]}}]
    (condition,) = scanned(query)
    assert condition["$or"][0]["message"]["$regex"] == r"\$\([aA]\|[bB]\)\*"
