from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.models.alert import FIRING, OK, AlertState

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_new_rule_is_ok_and_nobody_was_told(app_context: Flask) -> None:
    db.session.add(AlertState(rule="error_rate", changed_at=NOON))
    db.session.commit()
    state = db.session.get(AlertState, "error_rate")
    assert state is not None
    assert (state.state, state.value, state.last_sent_at) == (OK, None, None)
    assert state.changed_at == NOON


def test_a_rule_has_one_state(app_context: Flask) -> None:
    db.session.add(AlertState(rule="error_rate", changed_at=NOON))
    db.session.commit()
    db.session.expunge_all()
    db.session.add(AlertState(rule="error_rate", state=FIRING, changed_at=NOON))
    with pytest.raises(IntegrityError):
        db.session.commit()
