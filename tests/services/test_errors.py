import pytest

from app.services.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServiceError,
    Unauthorized,
)

STATUS = {BadRequest: 400, Unauthorized: 401, Forbidden: 403, NotFound: 404, Conflict: 409,
          Invalid: 422}  # fmt: skip


@pytest.mark.parametrize(("kind", "status"), STATUS.items())
def test_a_refusal_has_its_status_and_a_title(kind: type[ServiceError], status: int) -> None:
    refusal = kind()
    assert refusal.status == status
    assert refusal.title
    assert refusal.message == str(refusal) == refusal.title


def test_a_refusal_says_why_and_which_fields() -> None:
    refusal = Invalid("Please look again.", errors={"name": "It is missing."})
    assert str(refusal) == refusal.message == "Please look again."
    assert refusal.errors == {"name": "It is missing."}


def test_two_refusals_do_not_share_their_fields() -> None:
    Invalid().errors["name"] = "It is missing."
    assert Invalid().errors == {}
