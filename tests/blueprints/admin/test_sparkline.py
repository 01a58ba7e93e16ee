import pytest

from app.blueprints.admin.sparkline import HEIGHT, WIDTH, Sparkline, sparkline


@pytest.mark.parametrize(
    ("values", "limit", "drawn"),
    [
        ([], None, Sparkline([], [], None)),
        ([None, None], 5.0, Sparkline([], [], None)),
        ([0.0, 0.0], None, Sparkline(["0.0,45.0 240.0,45.0"], [], None)),
        ([0.0, 10.0, 5.0], None, Sparkline(["0.0,45.0 120.0,3.0 240.0,24.0"], [], None)),
        # A gap stays one, and what stands alone is still seen.
        ([1.0, None, 2.0, 1.0], None, Sparkline(["160.0,3.0 240.0,24.0"], [(0.0, 24.0)], None)),
        # The threshold gives the scale when it is near, and is left out when it is far.
        ([5.0, 6.0], 10.0, Sparkline(["0.0,24.0 240.0,19.8"], [], 3.0)),
        ([5.0, 6.0], 100.0, Sparkline(["0.0,10.0 240.0,3.0"], [], None)),
        ([20.0, 10.0], 10.0, Sparkline(["0.0,3.0 240.0,24.0"], [], 24.0)),
    ],
)
def test_a_line_starts_at_zero_and_shows_gaps_and_a_threshold_that_is_near(
    values: list[float | None], limit: float | None, drawn: Sparkline
) -> None:
    assert (WIDTH, HEIGHT) == (240, 48)
    assert sparkline(values, limit) == drawn
