from flask import Flask

from app.logstore import current_store, init_app
from app.logstore.contract import LogQuery
from tests.logstore.stores import put, sample


def test_each_app_has_a_store_of_its_own(app: Flask) -> None:
    init_app(app)
    with app.app_context():
        put(current_store(), sample())
        assert current_store() is app.extensions["log_store"]
        assert len(current_store().page(LogQuery()).records) == 1
