"""`flask db`: the commands of Flask-Migrate, loaded when one of them is asked for.

Alembic, Mako and Pygments come with them: memory, and time at the start, that no process needs
which serves.
"""

import logging
from typing import TYPE_CHECKING

import click
from flask import Flask
from flask.cli import ScriptInfo

from app.extensions import db

if TYPE_CHECKING:
    from flask_migrate import Migrate

_AS_THEY_ARE = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("db", add_help_option=False, context_settings=_AS_THEY_ARE)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def migrations(context: click.Context, args: tuple[str, ...]) -> None:
    """Make and change the tables: upgrade, migrate, downgrade and more."""
    script = context.ensure_object(ScriptInfo)
    load(script.load_app())
    from flask_migrate.cli import db as commands

    commands.main(
        args, context.command_path, obj=script, auto_envvar_prefix=context.auto_envvar_prefix
    )


def load(app: Flask) -> "Migrate":
    """Prepare an app for Flask-Migrate, and return what knows its folder."""
    # It tells of each of its parts that it loads.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    from flask_migrate import Migrate

    made = Migrate(app, db, directory=f"{app.root_path}/../migrations", compare_type=True)
    # It has put its own commands in this one's place.
    app.cli.add_command(migrations)
    return made
