import pytest
from flask.testing import FlaskClient

from tests.helpers import Account, login


@pytest.fixture
def as_admin(client: FlaskClient, admin: Account) -> FlaskClient:
    login(client, admin)
    return client
