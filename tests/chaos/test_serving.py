"""No request fails because of logging, and what its answer promised is stored."""

from pathlib import Path

import pytest

from tests.chaos.serving import WEATHER, blow, troubled_site
from tests.postgres_server import PostgresServer


def test_no_request_fails_because_of_logging_and_only_what_is_counted_is_lost(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str
) -> None:
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    with troubled_site(tmp_path / "site", url, postgres) as site:
        assert blow(site, list(WEATHER)) == []
        # Else there was no weather.
        assert site.lost > 0


@pytest.mark.parametrize(
    ("variant", "fault"),
    [
        ("loss raised into the request", "RemoteDisconnected"),
        ("loss not counted", "other records lost, 0.0 counted"),
        ("no outbox", "committed changes have no record"),
    ],
)
def test_a_server_with_a_broken_part_is_found_out(tmp_path: Path, variant: str, fault: str) -> None:
    url = f"sqlite:///{tmp_path / 'logs.db'}"
    with troubled_site(tmp_path / "site", url, variant=variant) as site:
        assert fault in "\n".join(blow(site, ["disk is full"]))
