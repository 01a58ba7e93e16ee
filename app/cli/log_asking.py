"""How the log commands ask: the store or files, with one clear line when neither answers."""

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from app.cli.log_format import stamp
from app.observability import log_context
from app.observability.ids import new_id
from app.services import log_service
from app.services.log_service import FileUnreadable, StoreUnavailable

STDIN = "-"
_STEPS = 1_000
_FILE_HELP = (
    "Ask these log files, rotated segments or archives instead of the store; plain or gzip, - is "
    "standard input. Takes all that follows up to the next option, or --."
)
Command = TypeVar("Command", bound=Callable[..., Any])


class FilesCommand(click.Command):
    """A command whose --file takes all paths behind it, as the shell's patterns give them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _each_with_its_option(args))


def takes_files(command: Command) -> Command:
    """Give a command --file; what it asks of the log service is then asked of the files."""

    @click.option("--file", "files", multiple=True, metavar="PATH…", help=_FILE_HELP)
    @wraps(command)
    def asked(*args: Any, files: tuple[str, ...], **options: Any) -> Any:
        if not files:
            return command(*args, **options)
        with _reading(files) as progress, log_service.asking_files(files, progress):
            return command(*args, **options)

    return asked  # type: ignore[return-value]


@contextmanager
def explained() -> Iterator[None]:
    """Turn a store that does not answer into one clear line, and Ctrl-C into a quiet end."""
    try:
        yield
    except FileUnreadable as error:
        raise click.ClickException(str(error)) from None
    except StoreUnavailable:
        raise click.ClickException(
            "The log store does not answer or has no tables yet; try: flask --app wsgi db upgrade"
        ) from None
    except KeyboardInterrupt:
        # What a shell reports for a program that Ctrl-C ended.
        raise SystemExit(130) from None


@contextmanager
def acting(command: str) -> Iterator[None]:
    """Have the records of a `with` block say which command of whom they belong to."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have a number and no name.
        user = str(os.getuid())
    with log_context.bound(request_id=new_id(), command=command, os_user=user):
        yield


@contextmanager
def looking_back(since: datetime | None) -> Iterator[Callable[[datetime], None]]:
    """Show on a terminal how far back it has been looked, to `since` or the oldest record.

    The bar comes with the first time that it is told: what is found at once needs none.
    """
    with ExitStack() as stack:
        now, bar, start = datetime.now(UTC), None, since

        def told(moment: datetime) -> None:
            nonlocal bar, start
            if not sys.stderr.isatty():
                return
            if bar is None:
                start = start or log_service.oldest() or moment
                bar = stack.enter_context(_bar(_STEPS, "Looking back"))
            whole = max(now - (start or moment), timedelta.resolution)
            steps = int(_STEPS * min((now - moment) / whole, 1))
            bar.update(max(steps - bar.pos, 0), stamp(moment.isoformat()))

        yield told


@contextmanager
def bytes_bar(total: int, label: str) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many of so many bytes are done; what is told is all so far."""
    if not total or not sys.stderr.isatty():
        yield lambda _bytes: None
        return
    with _bar(total, label) as bar:
        yield lambda done: bar.update(max(done - bar.pos, 0))


def _bar(length: int, label: str) -> Any:
    show = lambda item: item or ""  # noqa: E731
    return click.progressbar(
        length=length, label=label, file=sys.stderr, show_eta=False, item_show_func=show
    )


@contextmanager
def _reading(files: tuple[str, ...]) -> Iterator[Callable[[int], None]]:
    known = [Path(path) for path in files if path != STDIN]
    total = sum(path.stat().st_size for path in known if path.is_file())
    # Of standard input nobody knows how long it is.
    with bytes_bar(total if STDIN not in files else 0, "Reading") as progress:
        yield progress


def _each_with_its_option(args: list[str]) -> list[str]:
    found: list[str] = []
    taking = waiting = False
    for position, arg in enumerate(args):
        if arg == "--":
            return [*found, *args[position:]]
        is_option = arg.startswith("-") and arg != STDIN
        if taking and not is_option:
            found += [arg] if waiting else ["--file", arg]
            waiting = False
            continue
        taking, waiting = arg.partition("=")[0] == "--file", arg == "--file"
        found.append(arg)
    return found
