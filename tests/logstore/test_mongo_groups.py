import pytest

from app.logstore.contract import LogQuery
from app.logstore.mongo_client import Mongo
from app.logstore.mongo_groups import read_groups


def test_a_field_that_is_none_never_reaches_the_database() -> None:
    away = Mongo("mongodb://127.0.0.1:1/x")
    for field in ("rare_level", "$where", "details.", "_id"):
        with pytest.raises(ValueError, match="no field"):
            read_groups(away, LogQuery(), [field], 10)
