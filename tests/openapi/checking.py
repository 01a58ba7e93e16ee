"""A client that holds each answer against the document."""

from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.test import TestResponse

from app.openapi import describe, path_of

Operation = tuple[str, str, str]


class Checked:
    """Ask the app as a program does; refuse what the document does not say. Keeps what it saw."""

    def __init__(self, app: Flask) -> None:
        self.document = describe(app)
        self.seen: set[Operation] = set()
        self._rules = app.url_map.bind("localhost")
        self._client = app.test_client()

    def ask(self, method: str, path: str, status: int, **options: Any) -> TestResponse:
        rule, _ = self._rules.match(path.partition("?")[0], method, return_rule=True)
        answer = self._client.open(path, method=method, **options)
        assert answer.status_code == status, answer.get_data(as_text=True)
        name = path_of(rule.rule)
        told = self.document["paths"][name][method.lower()]["responses"][str(status)]
        self._compare(answer, self._resolved(told))
        self.seen.add((method, name, str(status)))
        return answer

    def described(self, *names: str) -> set[Operation]:
        """Return all answers of these addresses of which the document tells."""
        return {
            (method.upper(), name, status)
            for name in names
            for method, told in self.document["paths"][name].items()
            if method != "parameters"
            for status in told["responses"]
        }

    def _compare(self, answer: TestResponse, told: Any) -> None:
        assert set(told["headers"]) <= set(answer.headers.keys())
        content = told.get("content")
        if content is None:
            assert answer.get_data() == b""
            return
        schema = content[answer.content_type]["schema"]
        # References lead to the components from the root of what is checked.
        root = {**schema, "components": self.document["components"]}
        found = answer.get_json() if answer.is_json else answer.get_data(as_text=True)
        Draft202012Validator(root, format_checker=FormatChecker()).validate(found)

    def _resolved(self, told: Any) -> Any:
        while "$ref" in told:
            _, *parts = told["$ref"].split("/")
            told = self.document
            for part in parts:
                told = told[part]
        return told
