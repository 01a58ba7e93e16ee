"""The whole pipeline under every fault at once, and what each broken part would cost."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.logstore.contract import LogQuery
from tests.chaos.crew import SHIPPER_POINTS, WRITER_POINTS, Site
from tests.chaos.disk import small_disk
from tests.chaos.oracle import Oracle
from tests.chaos.storm import Storm
from tests.chaos.variants import SOUND
from tests.logstore.stores import open_store

MakeSite = Callable[..., Site]
SERVERS = {"postgresql": "postgres", "mongodb": "mongo_server"}  # Their fixtures.


@pytest.fixture
def make_site(tmp_path: Path) -> MakeSite:
    def make(store_url: str = "", name: str = "site", **options: Any) -> Site:
        store_url = store_url or f"sqlite:///{tmp_path / f'{name}-logs.db'}"
        on_server = store_url.startswith("postgresql")
        database_url = store_url if on_server else f"sqlite:///{tmp_path / name}.db"
        site = Site(tmp_path / name, store_url, database_url, **options)
        site.prepare()
        return site

    return make


def test_every_fault_at_once_loses_and_doubles_nothing(
    make_site: MakeSite, store_url: str, request: pytest.FixtureRequest
) -> None:
    server = {"postgresql": "postgres", "mongodb": "mongo_server"}.get(
        store_url.split("+")[0].split(":")[0]
    )
    outages = 1 if server else 0
    storm = Storm(
        make_site(store_url),
        writer_kills=list(WRITER_POINTS),
        # Those after the fourth have nothing to do with the store.
        shipper_kills=list(SHIPPER_POINTS)[: 4 if outages else None],
        weather=frozenset({"writers stop", "clock jumps", "poison"}),
        server=request.getfixturevalue(server) if server else None,
        outages=outages,
        least_rotations=10,
    )
    assert storm.run() == []
    assert storm.kills >= len(WRITER_POINTS) + 4


def test_four_writers_lose_and_tear_nothing_over_fifty_rotations(make_site: MakeSite) -> None:
    site = make_site(max_bytes=8_192)
    weather = frozenset({"writers stop"})
    assert Storm(site, writers=4, least_rotations=50, weather=weather).run() == []
    with open_store(site.store_url) as store:
        assert store.page(LogQuery(texts=("Torn log line",))).records == []


# A broken part, and the storm that finds it out.
BROKEN: dict[str, dict[str, Any]] = {
    "sealed without a mark": {"weather": {"writers stop"}, "records": 4000},
    "no look after a line": {"weather": {"writers stop"}, "records": 4000},
    "no append": {},
    "no torn-line recovery": {"writer_kills": ["in mid-write"] * 4},
    "offset by inode": {"records": 2500},
    "no id to know a record by": {},
    "checkpoint committed before insert": {
        "shipper_kills": ["between records and checkpoint"] * 2,
    },
    "outbox emptied before insert": {
        "shipper_kills": ["between records and checkpoint"] * 3,
    },
    "no outbox": {"writer_kills": ["between commit and line"] * 2},
    "line before commit": {"writer_kills": ["in a commit"] * 2},
    "only files with a name are read": {"weather": {"logs are removed"}, "max_bytes": 10**9},
    "copies are not read": {
        "weather": {"logs are copied and truncated"},
        "max_bytes": 10**9,
        "records": 2500,
    },
    "ids by the wall clock": {"weather": {"clock jumps"}},
}


def planned(name: str) -> dict[str, Any]:
    """Return what makes a storm; it uses its lists up."""
    plan = {"records": 600, **BROKEN[name], "weather": frozenset(BROKEN[name].get("weather", ()))}
    return {key: list(one) if isinstance(one, list) else one for key, one in plan.items()}


@pytest.mark.parametrize("variant", BROKEN)
def test_a_broken_part_is_found_out(make_site: MakeSite, variant: str) -> None:
    def storm(turn: int) -> list[str]:
        plan = planned(variant)
        site = make_site(name=f"site{turn}", max_bytes=plan.pop("max_bytes", 16_384))
        return Storm(site, variant=variant, **plan).run()

    # Luck may be with it, but not always.
    assert any(storm(turn) for turn in range(30))


@pytest.mark.parametrize("variant", ["only files with a name are read", "copies are not read"])
def test_logs_that_others_move_take_no_line_with_them(make_site: MakeSite, variant: str) -> None:
    plan = planned(variant)
    assert Storm(make_site(max_bytes=plan.pop("max_bytes")), **plan).run() == []


WEATHER = ["disk is full", "folder is read-only"]


def disk_storm(site: Site, weather: str, variant: str) -> tuple[Storm, list[str]]:
    with small_disk(site.log_dir) as disk:
        storm = Storm(site, weather=frozenset({weather}), variant=variant, disk=disk)
        return storm, storm.run()


@pytest.mark.parametrize("weather", WEATHER)
def test_what_a_disk_refuses_is_counted_and_nothing_else_is_lost(
    make_site: MakeSite, weather: str
) -> None:
    storm, found = disk_storm(make_site(max_bytes=16_384), weather, SOUND)
    assert found == []
    assert storm.lost > 0


@pytest.mark.parametrize("weather", WEATHER)
def test_a_loss_that_is_not_counted_is_found_out(make_site: MakeSite, weather: str) -> None:
    sites = (make_site(name=f"site{turn}", max_bytes=16_384) for turn in range(10))
    assert any(disk_storm(site, weather, "loss not counted")[1] for site in sites)


def test_two_hosts_with_one_store_and_one_database_keep_apart(
    make_site: MakeSite, tmp_path: Path, postgres_url: str
) -> None:
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    sites = [make_site(url, name=name) for name in ("one", "two")]
    storms = [
        Storm(site, records=800, writers=2, writer_kills=["between commit and line"])
        for site in sites
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Storm.blow, storms))
    assert Oracle(*sites).judge() == []
