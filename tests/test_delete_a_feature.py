"""A capability goes away with its module and its line in the factory; the app still starts."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, server_env

VISIT = """
from app import create_app, db
app = create_app()
with app.app_context():
    db.create_all(None)
client = app.test_client()
app.config["PROPAGATE_EXCEPTIONS"] = True
print({path: client.get(path).status_code for path in %r})
"""
PAGES = {
    "app/blueprints/items": ["/auth/login", "/health/live", "/admin/logs"],
    "app/blueprints/admin": ["/items", "/auth/login", "/health/live"],
    "app/api_tokens.py": ["/items", "/auth/login", "/admin/logs"],
    "app/openapi": ["/items", "/auth/login", "/admin/logs"],
    "app/blueprints/demo.py": ["/items", "/auth/login", "/admin/logs"],
    "app/blueprints/health.py": ["/items", "/auth/login", "/metrics"],
    "app/observability/metrics_page.py": ["/items", "/health", "/auth/login"],
    "app/observability/sentry.py": ["/items", "/metrics", "/auth/login"],
    "app/security_headers.py": ["/items", "/metrics", "/auth/login"],
    "app/trusted_proxies.py": ["/items", "/metrics", "/auth/login"],
}


@pytest.mark.parametrize("module", PAGES)
def test_the_application_starts_without_it(module: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "app", tree / "app", ignore=ignore)
    shutil.copy(ROOT / "config.py", tree)
    gone = tree / module
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    leave_out(tree / "app" / "__init__.py", gone.stem)

    done = subprocess.run(
        [sys.executable, "-c", VISIT % PAGES[module]], cwd=tree, env=server_env(tmp_path),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "500" not in done.stdout
    assert "404" not in done.stdout


def leave_out(factory: Path, name: str) -> None:
    text = factory.read_text()
    text, lines = re.subn(rf"^    {name}\.init_app\(app\)\n", "", text, flags=re.MULTILINE)
    text, names = re.subn(rf"(?<= ){name}, |, {name}$|^    {name},\n", "", text, flags=re.MULTILINE)
    assert (lines, names) == (1, 1), text
    factory.write_text(text)
