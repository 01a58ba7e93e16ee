import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask, render_template_string, url_for
from flask.testing import FlaskClient

from app.assets import init_app

OURS = ["app.css", "theme.js", "app.js", "favicon.svg", "favicon.ico", "icons.svg"]


def address(app: Flask, filename: str, endpoint: str = "static") -> str:
    with app.test_request_context():
        return url_for(endpoint, filename=filename)


@pytest.mark.parametrize("filename", OURS)
def test_our_files_have_versioned_addresses_that_may_be_kept_for_good(
    app: Flask, client: FlaskClient, filename: str
) -> None:
    path = address(app, filename)
    assert re.fullmatch(rf"/static/{re.escape(filename)}\?v=[0-9a-f]{{12}}", path)
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_bootstrap_comes_from_here_versioned_as_well(app: Flask, client: FlaskClient) -> None:
    path = address(app, "css/bootstrap.min.css", "bootstrap.static")
    assert "?v=" in path
    assert client.get(path).headers["Cache-Control"].endswith("immutable")


def test_an_address_without_a_version_is_kept_for_an_hour_only(client: FlaskClient) -> None:
    assert client.get("/static/app.css").headers["Cache-Control"] == "public, no-cache"
    assert client.get("/favicon.ico").headers["Cache-Control"] == "public, max-age=86400"


def test_a_file_that_is_not_there_has_no_version_and_is_never_kept(
    app: Flask, client: FlaskClient
) -> None:
    assert address(app, "gone.css") == "/static/gone.css"
    answer = client.get("/static/gone.css?v=1")
    assert answer.status_code == 404
    assert "immutable" not in answer.headers["Cache-Control"]


@pytest.mark.parametrize("name", ["../../config.py", "%2e%2e/%2e%2e/config.py", "..%5cconfig.py"])
def test_nothing_outside_the_folder_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


def test_a_changed_file_gets_a_new_address_while_developing(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_app()
    app.debug, app.static_folder = True, str(tmp_path)
    (tmp_path / "a.css").write_text("a")
    before = address(app, "a.css")
    (tmp_path / "a.css").write_text("b")
    os.utime(tmp_path / "a.css", (1, 1))
    assert address(app, "a.css") != before


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_pages_and_files_travel_compressed(client: FlaskClient, encoding: str) -> None:
    for path in ("/items", "/static/app.css"):
        answer = client.get(path, headers={"Accept-Encoding": f"{encoding};q=1"})
        # Streamed files are sent whole to a client that knows nothing but gzip.
        expected = {encoding} if path == "/items" else {encoding, None}
        assert answer.headers.get("Content-Encoding") in expected
        assert "Accept-Encoding" in answer.headers["Vary"]


def test_a_template_can_ask_whether_the_application_has_a_page(app: Flask) -> None:
    assert callable(init_app)
    with app.test_request_context():
        template = "{{ 'items.index' is endpoint }} {{ 'shop.index' is endpoint }}"
        assert render_template_string(template) == "True False"


def test_every_icon_a_template_uses_exists(app: Flask) -> None:
    sprite = Path(str(app.static_folder), "icons.svg").read_text()
    known = set(re.findall(r'<symbol id="([a-z-]+)"', sprite))
    templates = Path(str(app.root_path), "templates").rglob("*.html")
    pattern = re.compile(r'icon\("([a-z-]+)"\)|#([a-z-]+)"></use>')
    used = [pattern.findall(path.read_text()) for path in templates]
    assert {first or second for found in used for first, second in found} <= known
