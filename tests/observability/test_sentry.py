import sys

import pytest
from flask import Flask

from app.observability.sentry import init_app

EVENTS = "app.observability.sentry_events"


def test_without_an_address_nothing_of_it_is_loaded(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, EVENTS, raising=False)
    init_app(app)
    assert EVENTS not in sys.modules
