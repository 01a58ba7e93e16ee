from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, event

from app.logstore.contract import LogQuery
from app.logstore.sql_pages import read_page
from app.logstore.sql_store import SqlStore
from tests.logstore.stores import put, sample

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_match_behind_false_ones_in_the_same_slice_is_found(engine: Engine) -> None:
    # In SQL any letter stands for one beyond ASCII; the many that do not match after all must
    # not push the one that does out of the page.
    store = SqlStore(engine)
    put(store, sample(NOW, message="Ärger"))
    put(store, *(sample(NOW + timedelta(seconds=i), message="arger") for i in range(1, 60)))
    with engine.connect() as connection:
        page = read_page(connection, LogQuery(text="ärger"), None, 5, 10)
    assert [one["message"] for one in page.records] == ["Ärger"]


def test_a_common_text_is_found_in_the_first_slice(engine: Engine) -> None:
    store = SqlStore(engine)
    put(store, *(sample(message="common") for _ in range(3000)))
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    with engine.connect() as connection:
        page = read_page(connection, LogQuery(text="common"), None, 50, 10)
    assert len(page.records) == 50
    assert page.next == page.records[-1]["id"]
    assert len(statements) == 2


def test_several_rare_actions_come_in_one_order(engine: Engine) -> None:
    store = SqlStore(engine)
    actions = ("login", "logout", "error")
    put(store, *(
        sample(NOW + timedelta(seconds=i), message=str(i), action=actions[i % 3]) for i in range(30)
    ))  # fmt: skip
    with engine.connect() as connection:
        page = read_page(connection, LogQuery(actions=("login", "error")), None, 4, 10)
    assert [one["message"] for one in page.records] == ["29", "27", "26", "24"]
