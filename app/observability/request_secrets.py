"""The secret values one request carries, so that its exceptions cannot show them."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice
from typing import Any

from flask import Request

from app.observability.log_redaction import is_sensitive, longest_first, spellings, text_of

# Each text of each record is searched for each of them; more come only from an attacker.
_MAX_VALUES = 200
_MAX_LENGTH = 4096
_MAX_TOTAL = 65_536


class RequestSecrets:
    """Collect the values of sensitive fields, without ever reading a body by itself.

    Header, cookie, query and path are there from the start. A form or JSON body counts from
    the moment the view has parsed it; before that its values cannot be in any text.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._head: set[str] | None = None
        self._form_seen = self._json_seen = False
        self._all: tuple[str, ...] = ()

    def __call__(self) -> tuple[str, ...]:
        request = self._request
        form = "form" in request.__dict__
        json_body = request._cached_json[0] is not ...
        if self._head is None or form is not self._form_seen or json_body is not self._json_seen:
            self._collect(form, json_body)
        return self._all

    def _collect(self, form: bool, json_body: bool) -> None:
        if self._head is None:
            values = self._from_head()
            self._head = _all_spellings(values) if values else set()
        found = self._head
        if form or json_body:
            found = found | _all_spellings(self._from_bodies(form, json_body))
        self._all = tuple(longest_first(found)) if found else ()
        self._form_seen, self._json_seen = form, json_body

    def _from_head(self) -> list[str]:
        # What most requests lack is not taken apart.
        request, environ = self._request, self._request.environ
        found: list[str] = []
        if request.view_args and any(map(is_sensitive, request.view_args)):
            found += sensitive_values(request.view_args)
        for name in _sensitive_headers(tuple(environ)):
            found += (environ[name], *_credentials(environ[name]))
        if environ.get("QUERY_STRING"):
            found += sensitive_values(request.args.to_dict(flat=False))
        if "HTTP_COOKIE" in environ:
            found += chain.from_iterable(request.cookies.listvalues())
        return found

    def _from_bodies(self, form: bool, json_body: bool) -> Iterator[str]:
        if form:
            yield from sensitive_values(self._request.form.to_dict(flat=False))
        if json_body:
            yield from sensitive_values(self._request._cached_json[0])


def sensitive_values(value: Any, sensitive: bool = False, depth: int = 0) -> Iterator[str]:
    """Yield every text and number below a sensitive key."""
    if depth > 50:
        return
    if isinstance(value, str | int | float):
        if sensitive:
            yield text_of(value)
    elif isinstance(value, (dict, Mapping)):
        for key, item in value.items():
            yield from sensitive_values(item, sensitive or is_sensitive(str(key)), depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from sensitive_values(item, sensitive, depth + 1)


# Most requests carry the same names. Not many are kept: a client may make them up.
@lru_cache(maxsize=64)
def _sensitive_headers(environ: tuple[str, ...]) -> list[str]:
    return [name for name in environ if name.startswith("HTTP_") and is_sensitive(name)]


def _credentials(header: str) -> Iterator[str]:
    scheme, _, rest = header.partition(" ")
    if not rest:
        return
    yield rest
    if scheme.lower() == "basic":
        try:
            yield base64.b64decode(rest).decode().partition(":")[2]
        except ValueError:
            # Not Base64, or not of a text: then there is nothing more to know.
            return


def _all_spellings(values: Iterable[str]) -> set[str]:
    found: set[str] = set()
    left = _MAX_TOTAL
    for value in islice(values, _MAX_VALUES):
        start = value[: min(_MAX_LENGTH, left)]
        left -= len(start)
        found |= spellings(start)
    return found
