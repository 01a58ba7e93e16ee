import pytest

from app.error_pages import Problem
from app.error_texts import ADVICE, LAST_RESORT


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503])
def test_each_error_says_what_happened_and_what_to_do_next(status: int) -> None:
    title, advice = ADVICE[status]
    assert title
    assert advice.endswith(".")


def test_the_last_resort_needs_nothing_and_escapes_everything() -> None:
    page = LAST_RESORT.render(problem=Problem(500, "<b>", "<i>"), request_id="<u>")
    assert "&lt;b&gt;" in page
    assert not {"<b>", "<i>", "<u>"} & set(page.split())
    assert "Request ID" not in LAST_RESORT.render(problem=Problem(500), request_id=None)
