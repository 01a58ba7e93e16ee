"""A capability goes away with its module and its line in the factory; the app still starts."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, server_env

FACTORY = ROOT / "app" / "__init__.py"
# Visited as an administrator, who sees all there is; without a capability, all but its own page.
PAGES = {
    "items": "/items",
    "admin": "/admin/alerts",
    "health": "/health/live",
    "metrics_page": "/metrics",
    "demo": "/demo",
    "openapi": "/api/openapi.json",
}
VISIT = """
from app import create_app, db
from app.models.user import ADMIN, User
app = create_app()
with app.app_context():
    db.create_all(None)
    db.create_all("logs")
    db.session.add(User(email="ann@example.com", name="Ann", password_hash="-", role=ADMIN))
    db.session.commit()
client = app.test_client()
with client.session_transaction() as session:
    session["_user_id"] = "1:1"
app.config["PROPAGATE_EXCEPTIONS"] = True
print({path: client.get(path).status_code for path in ("/account", *%r)})
"""


def capabilities() -> list[str]:
    """Return the names under the heading that promises it."""
    listed = FACTORY.read_text().partition("    # Capabilities: ")[2].partition("    return app")[0]
    return re.findall(r"^    (\w+)\.init_app\(app\)$", listed, re.MULTILINE)


# These have their place in an order, and go away as well.
OTHERS = ["api_tokens", "sentry", "security_headers", "trusted_proxies"]


@pytest.mark.parametrize("name", [*capabilities(), *OTHERS])
def test_the_application_starts_without_it(name: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "app", tree / "app", ignore=ignore)
    shutil.copy(ROOT / "config.py", tree)
    remove(tree / "app", name)
    leave_out(tree / "app" / "__init__.py", name)
    pages = [page for owner, page in PAGES.items() if owner != name]

    done = subprocess.run(
        [sys.executable, "-c", VISIT % pages], cwd=tree, env=server_env(tmp_path),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout) == dict.fromkeys(["/account", *pages], 200)


def test_the_list_of_capabilities_is_found() -> None:
    assert {*PAGES, "alerting"} == set(capabilities())


def remove(app: Path, name: str) -> None:
    places = [app / folder / name for folder in (".", "blueprints", "observability")]
    [gone] = [path for place in places for path in (place, place.with_suffix(".py"))
              if path.exists()]  # fmt: skip
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()


def leave_out(factory: Path, name: str) -> None:
    text = factory.read_text()
    text, lines = re.subn(rf"^    {name}\.init_app\(app\)\n", "", text, flags=re.MULTILINE)
    text, names = re.subn(rf"(?<= ){name}, |, {name}$|^    {name},\n", "", text, flags=re.MULTILINE)
    assert (lines, names) == (1, 1), text
    factory.write_text(text)
