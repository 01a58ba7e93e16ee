"""The example in the README is typed off by people: it works as it stands."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.helpers import ROOT, SECRET_KEY

# In a process of its own: a model stays in the metadata for good.
PROGRAM = """
import json, sys, types
from app import create_app, db
from app.services import item_service, user_service

blocks, settings = json.loads(sys.argv[1])
app = create_app(settings)
# The model first: the others import it.
for name, text in sorted(blocks.items(), key=lambda pair: "models" not in pair[0]):
    module = sys.modules[name] = types.ModuleType(name)
    exec(text, vars(module))
    package, _, last = name.rpartition(".")
    setattr(sys.modules[package], last, module)
sys.modules["app.blueprints.notes"].init_app(app)
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
    client.post("/items/99/notes", data={"text": "?"}).status_code,
    client.post(f"/items/{item_id}/delete").status_code,
]))
"""


def test_the_example_of_a_feature_works_and_goes_with_its_item(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    found = re.findall(r"```python\n# (app/[\w/]+)\.py\n(.*?)```", readme, re.DOTALL)
    blocks = {path.replace("/", "."): text for path, text in found}
    settings = {
        "APP_ENV": "testing", "SECRET_KEY": SECRET_KEY, "LOG_DIR": str(tmp_path / "logs"),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'app.db'}", "WTF_CSRF_ENABLED": False,
        "PROPAGATE_EXCEPTIONS": False,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([blocks, settings])],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [201, 404, 302], done.stderr
