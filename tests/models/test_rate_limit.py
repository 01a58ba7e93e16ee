from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.models.rate_limit import RateLimit
from app.models.types import utc_now


def test_a_counter_keeps_its_hits_and_the_end_of_its_window(app_context: Flask) -> None:
    end = utc_now() + timedelta(minutes=5)
    db.session.add(RateLimit(key="a" * 64, hits=3, expires_at=end))
    db.session.commit()
    db.session.expire_all()

    kept = db.session.get(RateLimit, "a" * 64)

    assert kept is not None
    assert (kept.hits, kept.expires_at) == (3, end)


def test_one_key_has_one_counter(app_context: Flask) -> None:
    row = {"key": "a", "hits": 1, "expires_at": utc_now()}
    db.session.execute(insert(RateLimit).values(row))
    with pytest.raises(IntegrityError):
        db.session.execute(insert(RateLimit).values(row))
