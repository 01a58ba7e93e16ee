"""The example in the README is typed off by people: it works as it stands."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, SECRET_KEY

LEFT_OUT = shutil.ignore_patterns(".*", "instance", "logs", "tests", "docs", "__pycache__")
PROGRAM = """
import json, sys
from app import create_app, db
from app.blueprints import notes
from app.services import item_service, user_service

app = create_app(json.loads(sys.argv[1]))
notes.init_app(app)
with app.app_context():
    db.create_all(None)
    db.create_all("logs")
    user = user_service.create_user("ann@example.com", "correct horse battery")
    item_id = item_service.create_item(user, {"name": "Lamp"}).id
client = app.test_client()
login = {"email": "ann@example.com", "password": "correct horse battery"}
client.post("/auth/login", data=login)
print(json.dumps([
    client.post(f"/items/{item_id}/notes", data={"text": "It flickers."}).status_code,
    client.post(f"/items/{item_id}/notes", data={"text": " "}).status_code,
    client.post("/items/99/notes", data={"text": "?"}).status_code,
    client.post(f"/items/{item_id}/delete").status_code,
]))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the README's example in it."""
    project = tmp_path_factory.mktemp("readme") / "project"
    shutil.copytree(ROOT, project, ignore=LEFT_OUT)
    readme = (ROOT / "README.md").read_text()
    for path, text in re.findall(r"```python\n(# app/[\w/]+\.py)\n(.*?)```", readme, re.DOTALL):
        (project / path.removeprefix("# ")).write_text(text)
    return project


def test_the_example_of_a_feature_works_and_goes_with_its_item(
    project: Path, tmp_path: Path
) -> None:
    settings = {
        "APP_ENV": "testing", "SECRET_KEY": SECRET_KEY, "LOG_DIR": str(tmp_path / "logs"),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'app.db'}", "WTF_CSRF_ENABLED": False,
        "PROPAGATE_EXCEPTIONS": False,
    }  # fmt: skip
    output = run(project, "-c", PROGRAM, json.dumps(settings))
    assert json.loads(output.splitlines()[-1]) == [201, 422, 404, 302]


def test_the_example_of_a_feature_is_written_as_the_project_is(project: Path) -> None:
    files = sorted(str(path) for path in project.glob("app/*/note*.py"))
    assert len(files) == 3
    run(project, "-m", "ruff", "check", "--no-cache", *files)
    run(project, "-m", "ruff", "format", "--no-cache", "--check", *files)


def run(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
