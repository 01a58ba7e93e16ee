from collections.abc import Callable

import pytest
from flask import Flask

from app.logstore import current_store, init_app
from app.logstore.contract import LogQuery
from app.logstore.mongo_store import MongoStore
from app.logstore.sql_store import SqlStore
from tests.logstore.stores import put, sample


def test_each_app_has_a_store_of_its_own(app: Flask) -> None:
    init_app(app)
    with app.app_context():
        put(current_store(), sample())
        assert current_store() is app.extensions["log_store"]
        assert len(current_store().page(LogQuery()).records) == 1


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite://", SqlStore),
        ("postgresql://u@127.0.0.1:1/x", SqlStore),
        ("mongodb://127.0.0.1:1/x", MongoStore),
        # Nothing is looked up before it is needed.
        ("mongodb+srv://db.invalid/x", MongoStore),
    ],
)
def test_the_address_says_which_store(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, url: str, kind: type
) -> None:
    monkeypatch.setattr("tests.conftest.db.create_all", lambda _bind: None)
    assert type(make_app(LOG_STORE_URL=url).extensions["log_store"]) is kind
