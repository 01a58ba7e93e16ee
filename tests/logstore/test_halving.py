import pytest

from app.logstore.halving import refused_among


@pytest.mark.parametrize("bad", [set(), {0}, {99}, {41, 42}, set(range(100))])
def test_each_offender_is_found_and_each_other_is_taken_once(bad: set[int]) -> None:
    taken: list[int] = []

    def accepts(batch: range) -> bool:
        if bad & set(batch):
            return False
        taken.extend(batch)
        return True

    assert refused_among(range(100), accepts) == sorted(bad)
    assert taken == [one for one in range(100) if one not in bad]


def test_nothing_is_asked_about_an_empty_batch() -> None:
    assert refused_among([], lambda _: False) == []
