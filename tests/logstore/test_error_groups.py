from app.logstore.error_groups import by_fingerprint


def test_what_happened_last_comes_first_and_then_what_happened_more_often() -> None:
    rows = [(600, "old", 9), (1200, "rare", 1), (1200, "busy", 2), (0, "busy", 3)]
    counts = by_fingerprint(rows, range(600, 1800, 600), "asked for")
    # A step of counts may begin before the first of the chart.
    assert list(counts.items()) == [
        ("busy", [3, 2]), ("rare", [0, 1]), ("old", [9, 0]), ("asked for", [0, 0]),
    ]  # fmt: skip
