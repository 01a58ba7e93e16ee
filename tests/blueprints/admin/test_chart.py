from datetime import UTC, datetime, timedelta

from app.blueprints.admin.chart import HEIGHT, bars, totals
from app.blueprints.admin.filters import parse
from app.logstore.contract import Point
from app.services.log_facets import Figures

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def figures(*counts: dict[str, int], step: int = 3600) -> Figures:
    points = [
        Point(NOON + timedelta(seconds=step * number), sum(by.values()), by)
        for number, by in enumerate(counts)
    ]
    return Figures(points, step, {})


def test_the_worst_lies_on_top_and_is_never_too_low_to_be_seen() -> None:
    busy, empty, one = bars(
        figures({"INFO": 9_000, "ODD": 999, "CRITICAL": 1}, {}, {"WARNING": 1}), parse({}, NOON)
    )
    assert [look for look, _, _ in busy.parts] == ["quiet", "error"]
    (_, _, low), (_, top, height) = busy.parts
    assert height >= 3
    assert low > 20 * height
    assert 0 <= top < HEIGHT - low
    assert empty.parts == []
    assert one.parts[0][2] >= 3
    assert totals([busy, empty, one]) == {"quiet": 9_999, "warning": 1, "error": 1}


def test_a_bar_says_in_words_what_it_shows_and_leads_to_its_time() -> None:
    first, second = bars(figures({"INFO": 1_200, "ERROR": 2}, {}), parse({"q": "a"}, NOON))
    assert first.said == "2026-11-23 12:00 to 13:00: 1,200 info and debug, 2 error and above"
    assert second.said == "2026-11-23 13:00 to 14:00: no records"
    assert first.address == {
        "q": "a", "from": "2026-11-23T12:00:00", "to": "2026-11-23T13:00:00",
    }  # fmt: skip
    (day,) = bars(figures({}, step=86_400), parse({}, NOON))
    assert day.span == "2026-11-23 to 2026-11-24"
