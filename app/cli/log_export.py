"""Take records out as NDJSON or CSV: `flask logs export`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click

from app.cli.log_asking import FilesCommand, acting, explained, looking_back, takes_files
from app.cli.log_options import filter_options, query_from
from app.cli.logs import logs
from app.observability.events import record_event
from app.services import log_service
from app.services.log_export import csv_lines, json_line
from app.services.log_service import LogQuery, Record


@logs.command("export", cls=FilesCommand)
@takes_files
@filter_options
@click.option("--json/--csv", "as_json", default=True, help="Default: one JSON object a line.")
def export(as_json: bool, **filters: Any) -> None:
    """Write all records that `search` would find with the same options, the newest first.

    With --file they come as they stand in the files.
    """
    query = query_from(**filters)
    with (
        explained(),
        acting("logs export"),
        looking_back(query.since) as told,
        _recorded(query, "ndjson" if as_json else "csv") as count,
    ):
        records = count(log_service.every(query, told))
        for line in map(json_line, records) if as_json else csv_lines(records):
            click.echo(line)


@contextmanager
def _recorded(query: LogQuery, form: str) -> Iterator[Any]:
    """Record how many records were taken out, also when it ends before all are."""
    taken = 0

    def count(records: Iterable[Record]) -> Iterator[Record]:
        nonlocal taken
        for record in records:
            taken += 1
            yield record

    outcome = "failed"
    try:
        yield count
        outcome = "success"
    finally:
        record_event("logs_exported", "logs exported", outcome=outcome, details={
            "format": form, "count": taken, "filters": _filters(query),
        })  # fmt: skip


def _filters(query: LogQuery) -> dict[str, str]:
    """Return what the record may say of a question: a text may be the secret looked for."""
    given = {name: value for name, value in asdict(query).items() if value}
    texts = given.pop("texts", ())
    without = given.pop("without", ())
    if left_out := {name for one in without for name, value in one.items() if value}:
        given["without"] = ", ".join(sorted(left_out))
    if texts:
        given["text_length"] = sum(map(len, texts))
    return {name: str(value) for name, value in given.items()}
