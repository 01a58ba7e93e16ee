"""Static files: addresses that change with the content, so that browsers may keep them for good."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Request, Response, current_app, request, send_from_directory
from flask_bootstrap import Bootstrap5
from flask_compress import Compress

_FOREVER = "public, max-age=31536000, immutable"
# A module that another one imports has no version in its address: old and new must not mix.
_ASKED_AGAIN = "public, no-cache"
_compress = Compress()


def init_app(app: Flask) -> None:
    """Serve Bootstrap and our own files, compressed and cached; adds the test `is endpoint`."""
    Bootstrap5(app)
    app.config["COMPRESS_REGISTER"] = False
    _compress.init_app(app)
    app.url_defaults(_add_version)
    app.after_request(_finish)
    app.add_url_rule("/favicon.ico", "favicon", _favicon)
    # Lets a page leave out a link to a module that this application does not have.
    app.jinja_env.tests["endpoint"] = lambda name: name in app.view_functions


def _favicon() -> Response:
    # Browsers ask for this address by themselves on pages that name no icon, such as JSON.
    return send_from_directory(str(current_app.static_folder), "favicon.ico", max_age=86_400)


def _add_version(endpoint: str, values: dict[str, Any]) -> None:
    if _is_static(endpoint) and "filename" in values:
        folder = _static_folder(endpoint)
        version = _version(folder, values["filename"], current_app.debug) if folder else None
        if version:
            values.setdefault("v", version)


def _finish(response: Response) -> Response:
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]
    if _is_static(asked.endpoint or "") and response.status_code in {200, 206, 304}:
        versioned = "v" in asked.args
        response.headers["Cache-Control"] = _FOREVER if versioned else _ASKED_AGAIN
    if "HTTP_ACCEPT_ENCODING" in asked.environ:
        return _compress.after_request(response)
    return response


def _is_static(endpoint: str) -> bool:
    return endpoint == "static" or endpoint.endswith(".static")


def _static_folder(endpoint: str) -> str | None:
    name = endpoint.rpartition(".")[0]
    return (current_app.blueprints[name] if name else current_app).static_folder


def _version(folder: str, filename: str, reload: bool) -> str | None:
    path = Path(folder, filename)
    try:
        # While developing, a changed file gets a new address without a restart.
        return _hash(path, path.stat().st_mtime_ns if reload else 0)
    except OSError:
        return None


@lru_cache(maxsize=512)
def _hash(path: Path, _changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
