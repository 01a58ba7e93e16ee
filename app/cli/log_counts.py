"""The command that compares the log's counts with its records: `flask logs recount`."""

from datetime import datetime
from typing import Any

import click

from app.cli.log_asking import explained
from app.cli.log_format import show
from app.cli.log_options import json_option, since_option
from app.cli.logs import logs
from app.services import log_figures
from app.services.log_export import json_line


@logs.command("recount")
@click.option("--check", is_flag=True, help="Compare only; exits with 1 if a count is wrong.")
@since_option(None)
@json_option
def recount(check: bool, since: datetime | None, as_json: bool) -> None:
    """Correct the counts behind charts and percentiles by the records that are still there."""
    with explained():
        found = log_figures.recount(since, check=check)
    told: dict[str, Any] = {"records": found.records, "wrong": found.wrong, "corrected": not check}
    did = "are wrong" if check else "were wrong and are corrected"
    show(
        json_line(told) if as_json
        else f"{found.records} records counted anew; {found.wrong} counts {did}."
    )  # fmt: skip
    if check and found.wrong:
        raise SystemExit(1)
