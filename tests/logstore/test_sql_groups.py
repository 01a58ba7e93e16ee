import pytest
from sqlalchemy import Engine

from app.logstore.contract import LogQuery
from app.logstore.sql_groups import read_groups


def test_a_field_that_is_no_column_never_reaches_the_database(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(ValueError, match="no field"):
        read_groups(connection, LogQuery(), ["details."], 10)
