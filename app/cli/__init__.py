"""The commands: `flask users`, `tokens`, `logs`, `demo`, `scheduler` and `db`."""

from flask import Flask

from app.cli import (
    demo,
    log_archive,
    log_counts,
    log_export,
    logs,
    migrations,
    scheduler,
    tokens,
    users,
)

__all__ = ["init_app", "log_archive", "log_counts", "log_export", "register_commands"]

# The log_… modules add their commands to the group of logs.
GROUPS = (users.users, tokens.tokens, logs.logs, demo.demo, scheduler.scheduler,
          migrations.migrations)  # fmt: skip


def register_commands(app: Flask) -> None:
    """Give the flask command its groups; each goes away with its module and its name here."""
    for group in GROUPS:
        app.cli.add_command(group)


def init_app(app: Flask) -> None:
    """Register the commands; starts nothing."""
    register_commands(app)
