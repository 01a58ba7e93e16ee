from sqlalchemy import Engine

from app.logstore.contract import Group, LogQuery
from app.logstore.sql_groups import read_groups
from app.logstore.sql_store import SqlStore
from tests.logstore.stores import put, sample


def test_equal_counts_are_ordered_by_the_newest(engine: Engine) -> None:
    old, new = sample(route="/old"), sample(route="/new")
    put(SqlStore(engine), old, new)
    with engine.connect() as connection:
        groups = read_groups(connection, LogQuery(), ["route"], 10)
        assert len(read_groups(connection, LogQuery(), ["route"], 1)) == 1
    assert groups == [Group(("/new",), 1, new["id"]), Group(("/old",), 1, old["id"])]


def test_a_key_of_details_may_have_any_letters(engine: Engine) -> None:
    put(SqlStore(engine), sample(details={"it's ä.b": "x"}), sample(details={}))
    with engine.connect() as connection:
        groups = read_groups(connection, LogQuery(), ["details.it's ä.b"], 10)
    assert sorted((str(one.values[0]), one.count) for one in groups) == [("None", 1), ("x", 1)]
