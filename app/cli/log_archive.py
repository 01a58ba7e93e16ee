"""Move what is expired into archives, and check those: `flask logs archive` and `verify`."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from flask import Flask, current_app

from app.cli.log_asking import acting, bytes_bar, explained
from app.cli.log_format import show, show_table, stamp
from app.cli.log_options import json_option
from app.cli.logs import logs
from app.cli.scheduler import refuse_wrong_user
from app.logstore import archive as archives
from app.logstore.archive import ArchiveBroken
from app.logstore.retention import NotNow, Retention, Told, retention_for

_STEPS = 1_000


@logs.command("archive")
@click.option("--dry-run", is_flag=True, help="Say what would go and how large it is; do nothing.")
@json_option
def archive(dry_run: bool, as_json: bool) -> None:
    """Archive records that are older than LOG_KEEP_DAYS_… says, then delete them.

    The runner does the same by itself, several times a day.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    if not dry_run:
        refuse_wrong_user(Path(app.config["LOG_DIR"]))
    now = datetime.now(UTC)
    retention = retention_for(app)
    with _explained(), _through_time(now) as told:
        rows = _plan(retention, now, told) if dry_run else _run(retention, now, told)
    show_table(rows, as_json)


@logs.command("verify")
@click.argument("paths", nargs=-1, metavar="[PATH]…")
def verify(paths: tuple[str, ...]) -> None:
    """Check archives, or all in folders, against their manifests; default: all there are.

    Each broken one is a line, and the exit code is 1 then.
    """
    folders = [Path(path) for path in paths] or [Path(current_app.config["LOG_DIR"]) / "archive"]
    found = [one for path in folders for one in (_archives(path) if path.is_dir() else [path])]
    sizes = {path: path.stat().st_size if path.is_file() else 0 for path in found}
    broken = records = done = 0
    with bytes_bar(sum(sizes.values()), "Verifying") as progress:
        for path in found:
            try:
                records += archives.verify(path).count
            except ArchiveBroken as error:
                broken += 1
                show(str(error))
            done += sizes[path]
            progress(done)
    click.echo(f"{len(found) - broken} of {len(found)} archives are sound: {records} records.",
               err=True)  # fmt: skip
    if broken:
        sys.exit(1)


def _archives(folder: Path) -> list[Path]:
    return archives.archives(folder)


def _plan(retention: Retention, now: datetime, told: Told) -> list[dict[str, Any]]:
    return [
        {
            "keep": plan.keep, "records": plan.count, "from": _time(plan.first_timestamp),
            "to": _time(plan.last_timestamp), "bytes": plan.bytes,
        }
        for plan in retention.plan(now, told)
    ]  # fmt: skip


def _run(retention: Retention, now: datetime, told: Told) -> list[dict[str, Any]]:
    with acting("logs archive"):
        gone = retention.run(now, told)
    return [{"keep": keep, "records": count} for keep, count in gone.items()]


def _time(timestamp: str | None) -> str | None:
    return stamp(timestamp) if timestamp else None


@contextmanager
def _explained() -> Iterator[None]:
    with explained():
        try:
            yield
        except (NotNow, ArchiveBroken) as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            raise click.ClickException(f"{error.filename}: {error.strerror}") from None


@contextmanager
def _through_time(now: datetime) -> Iterator[Told]:
    """Show on a terminal, class by class, how near it has come to what is kept."""
    starts: dict[str, datetime] = {}
    bars: dict[str, Any] = {}
    with ExitStack() as stack:

        def told(keep: str, moment: datetime) -> None:
            if not sys.stderr.isatty():
                return
            if keep not in bars:
                stack.close()
                starts[keep] = moment
                bars[keep] = stack.enter_context(
                    click.progressbar(length=_STEPS, label=f"{keep:<9}", file=sys.stderr)
                )
            end = now - timedelta(days=current_app.config[f"LOG_KEEP_DAYS_{keep.upper()}"])
            whole = max(end - starts[keep], timedelta.resolution)
            steps = int(_STEPS * min((moment - starts[keep]) / whole, 1))
            bars[keep].update(max(steps - bars[keep].pos, 0))

        yield told
