"""What holds for the whole tree: who may import whom, sizes, tests, protected routes."""

import ast
import re
from pathlib import Path

import pytest
from flask import Flask

from tests.helpers import ROOT

APP = ROOT / "app"
MODULES = sorted(path for path in APP.rglob("*.py"))
SOURCES = [*MODULES, ROOT / "config.py", ROOT / "wsgi.py", ROOT / "gunicorn.conf.py"]

# Who must not import whom; a package not named here is free.
FORBIDDEN = {
    "extensions": ("app.models", "app.services", "app.blueprints", "app.logstore", "app.alerting",
                   "app.scheduler", "app.observability", "app.cli"),
    "postgresql": ("app.",),
    "models": ("app.services", "app.blueprints", "app.logstore", "app.alerting", "app.scheduler",
               "app.observability", "app.cli"),
    "services": ("app.blueprints", "app.scheduler", "app.cli", "app.alerting"),
    "observability": ("app.blueprints", "app.services", "app.logstore", "app.alerting",
                      "app.scheduler", "app.cli"),
    "logstore": ("app.blueprints", "app.services", "app.alerting", "app.scheduler", "app.cli"),
    "alerting": ("app.blueprints", "app.scheduler", "app.cli"),
    "blueprints": ("app.logstore", "app.alerting", "app.scheduler", "app.cli",
                   "app.observability.operations", "app.observability.log_file",
                   "app.observability.log_handlers"),
}  # fmt: skip

# What anybody may do; everything else asks for a login or an administrator.
PUBLIC = {
    *(("GET", rule) for rule in (
        "/", "/favicon.ico", "/static/<path:filename>", "/bootstrap/static/<path:filename>",
        "/items", "/items/<int:item_id>", "/items/<int:item_id>/image", "/api/items",
        "/api/items/<int:item_id>", "/api/csrf-token", "/api/openapi.json",
        "/auth/login", "/auth/register",
        "/auth/forgot", "/auth/reset", "/health", "/health/live", "/health/ready",
        "/metrics", "/demo", "/demo/error", "/demo/slow", "/demo/n-plus-one",
    )),
    *(("POST", rule) for rule in (
        "/auth/login", "/auth/register", "/auth/forgot", "/auth/reset",
    )),
}  # fmt: skip


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def package_of(path: Path) -> str:
    return path.relative_to(APP).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    forbidden = FORBIDDEN.get(package_of(path), ())
    wrong = {name for name in imports_of(path) for bad in forbidden if name.startswith(bad)}
    assert not wrong


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_small_and_has_one_reason_to_exist(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def functions() -> list[tuple[str, int]]:
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                body = node.body[-1].end_lineno or 0
                found.append((f"{path.relative_to(ROOT)}:{node.name}", body - node.body[0].lineno))
    return found


def test_functions_are_short() -> None:
    # The factory is the one list that may be longer.
    long = {name: n for name, n in functions() if n > 40 and not name.endswith(":create_app")}
    assert not long


def names_defined_in(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


TESTED = [path for path in MODULES if path.name != "__init__.py"]


@pytest.mark.parametrize("path", TESTED, ids=lambda path: str(path.relative_to(ROOT)))
def test_emptying_a_module_makes_its_own_test_file_fail(path: Path) -> None:
    """The mirrored test file imports, when it is collected, a name that the module defines."""
    mirrored = ROOT / "tests" / path.relative_to(APP).with_name(f"test_{path.name}")
    assert mirrored.exists(), f"{mirrored.relative_to(ROOT)} is missing"
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    taken: set[str] = set()
    tree = ast.parse(mirrored.read_text())
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == module:
            taken |= {alias.name for alias in node.names}
    assert taken & names_defined_in(path), f"{mirrored.name} imports nothing from {module}"
    tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert any(node.name.startswith("test_") for node in tests)


def test_the_application_logs_and_never_prints() -> None:
    for path in MODULES:
        calls = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ]
        names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
        assert "print" not in names, path


def test_no_error_is_swallowed_without_a_reason() -> None:
    """A handler that only passes says in a comment why that is right."""
    for path in SOURCES:
        lines = path.read_text().splitlines()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and isinstance(node.body[0], ast.Pass):
                around = lines[node.lineno - 1 : node.body[0].lineno + 1]
                assert any("#" in line for line in around), f"{path}:{node.lineno}"


@pytest.mark.parametrize("name", ["logging.py", "db.py"])
def test_names_that_would_hide_other_modules_do_not_exist(name: str) -> None:
    assert not (APP / name).exists()


def routes(app: Flask) -> set[tuple[str, str]]:
    return {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_is_protected_or_on_the_public_list(app: Flask) -> None:
    client = app.test_client()
    for method, rule in routes(app) - PUBLIC:
        answer = client.open(re.sub(r"<[^>]+>", "1", rule), method=method)
        to_login = answer.status_code == 302 and "/auth/login" in answer.location
        assert to_login or answer.status_code in {401, 403, 405}, (method, rule)


def test_every_public_route_exists(app: Flask) -> None:
    assert routes(app) >= PUBLIC


def test_an_ordinary_user_is_refused_everywhere_under_admin(app: Flask, client, user) -> None:  # type: ignore[no-untyped-def]
    from tests.helpers import login

    login(client, user)
    found = [(method, rule) for method, rule in routes(app) if rule.startswith("/admin")]
    assert found
    for method, rule in found:
        path = re.sub(r"<[^>]+>", "1", rule)
        assert client.open(path, method=method).status_code == 403, (method, rule)


def test_the_example_of_settings_lists_each_one_with_its_default() -> None:
    from config import SETTINGS

    text = (ROOT / ".env.example").read_text()
    listed = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert set(listed) == {setting.name for setting in SETTINGS}
    for setting in SETTINGS:
        shown = listed[setting.name]
        if isinstance(setting.default, bool | int | float) and shown:
            assert setting.parse(shown) == setting.default, setting.name


def test_templates_hold_no_inline_script_or_style() -> None:
    for path in (APP / "templates").rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path
        assert not re.search(r"<style|\sstyle=|\son\w+=[\"']", text), path
        assert not re.search(r"(?:src|href)=[\"']https?://", text), path
