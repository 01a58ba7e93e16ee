r"""The log's search language: `level:>=warning user:7 -action:request "exact words"`.

A search is terms with spaces between. A term is `key:value` or words to be found; `-` before it
leaves out what it finds. Quotation marks keep words together, and make a value of any text, also a
level or an action of another program; in them `\"` is a quotation mark and `\\` a backslash. All
terms must fit; several terms of a key in `log_keys.ALTERNATIVES`, as `level:` or `host:`, are
alternatives.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from app.services.log_keys import (
    KEYS,
    SEVERAL,
    SYNONYMS,
    BadValue,
    instead_of_two,
    nearest,
    slots,
)
from app.services.log_service import WITHOUT_SAMPLES, LogQuery
from app.services.texts import is_plain

MAX_LENGTH = 2_000
MAX_VALUE = 300
MAX_TERMS = 40

_TERM = re.compile(
    r'(?P<minus>-?)(?:(?P<key>[A-Za-z_]+):)?(?:"(?P<quoted>(?:[^"\\]|\\.)*)(?P<end>"?)|(?P<bare>\S*))'
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_QUOTES = re.compile(r'\s|^"|^$')
_LIKE_A_KEY = re.compile(r"-|[A-Za-z_]+:")
_OPERATORS = ("AND", "OR", "NOT")


@dataclass(frozen=True)
class Term:
    """One part of a search: a key's value, or with the key "" words; and where it stands."""

    key: str
    value: str
    negated: bool = False
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)
    quoted: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        more = _is_foreign(self) if self.key else _reads_as_more(self.value)
        quoted = more or _NEEDS_QUOTES.search(self.value)
        value = _quoted(self.value) if quoted else self.value
        return f"{'-' * self.negated}{self.key}{':' * bool(self.key)}{value}"


@dataclass(frozen=True)
class Problem:
    """What is wrong with a part of a search, and the whole search as it may have been meant."""

    start: int
    end: int
    message: str
    instead: str | None = None


@dataclass(frozen=True)
class Search:
    """A search as it was entered, and what it asks; with problems it asks nothing."""

    text: str
    query: LogQuery = field(default_factory=LogQuery)
    terms: tuple[Term, ...] = ()
    problems: tuple[Problem, ...] = ()

    def audit(self) -> dict[str, str]:
        """Return what a record of this search may say: a value may be the secret looked for."""
        keys = [f"{'-' * term.negated}{term.key}" for term in self.terms if term.key]
        length = sum(len(term.value) for term in self.terms if not term.key)
        told = {"keys": " ".join(dict.fromkeys(keys)), "text_length": str(length or "")}
        return {name: value for name, value in told.items() if value}


def parse(text: str) -> Search:
    """Read a search; never raises. Samples stay out unless `action:` or `request:` asks."""
    text = text.strip()
    if len(text) > MAX_LENGTH:
        return Search(text, problems=(Problem(
            MAX_LENGTH, len(text), f"Use {MAX_LENGTH} characters or fewer."
        ),))  # fmt: skip
    reader = _Reader(text)
    terms = tuple(reader.terms())
    if len(terms) > MAX_TERMS and not reader.problems:
        far = terms[MAX_TERMS]
        reader.problems.append(Problem(far.start, len(text), f"Use {MAX_TERMS} terms or fewer."))
    problems = tuple(sorted(reader.problems, key=lambda problem: problem.start))
    return Search(text, LogQuery() if problems else reader.query(), terms, problems)


def with_term(text: str, key: str, value: str, *, negated: bool = False) -> str:
    """Return a search narrowed to a key's value, or without it; what it replaces goes."""
    term = Term(key, value, negated)
    kept = [
        one
        for one in parse(text).terms
        if (one.key, one.value) != (key, value) and (negated or not key or not _crosses(one, term))
    ]
    return " ".join(map(str, [*kept, term]))


def without_term(text: str, term: Term) -> str:
    """Return a search without one of its terms."""
    return " ".join(str(one) for one in parse(text).terms if one != term)


def _crosses(one: Term, new: Term) -> bool:
    """Tell whether a term has the new one's key, or asks for another value of what it asks."""
    return not one.negated and (one.key == new.key or bool(_slots(one) & _slots(new)))


def _slots(term: Term) -> set[str]:
    try:
        return slots(term.key, KEYS[term.key].read(term.value)) if term.key in KEYS else set()
    except BadValue:
        return set()


class _Refused(Exception):
    """Say what is wrong with one term, and the whole search as it may have been meant."""

    def __init__(self, message: str, instead: str | None = None) -> None:
        super().__init__(message)
        self.instead = instead


class _Reader:
    """Read the terms of one text, and gather what they ask and what is wrong with them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._wanted: dict[str, Any] = {"texts": (), "without": ()}
        self._taken: dict[str, str] = {}
        self.problems: list[Problem] = []

    def terms(self) -> Iterator[Term]:
        at = 0
        while at < len(self._text):
            found = _TERM.match(self._text, at)
            if self._text[at].isspace() or found is None:
                at += 1
                continue
            at = found.end()
            term = _term(found)
            try:
                self._check(term, found)
                self._take(term)
                yield term
            except _Refused as refused:
                problem = Problem(term.start, term.end, str(refused), refused.instead)
                self.problems.append(problem)

    def query(self) -> LogQuery:
        asked = self._wanted.get("actions") or self._wanted.get("request_id")
        without = self._wanted["without"] + (() if asked else WITHOUT_SAMPLES)
        return LogQuery(**{**self._wanted, "without": without})

    def _check(self, term: Term, found: re.Match[str]) -> None:
        if found["bare"] is None and not found["end"]:
            instead = None if self._text.endswith("\\") else f'{self._text}"'
            raise _Refused("The quotation mark that ends this is missing.", instead)
        if term.key and term.key not in KEYS:
            self._refuse_key(term, found["key"])
        if not term.value:
            example = f", such as {KEYS[term.key].example}" if term.key else ""
            raise _Refused(f"Say what to look for{example}.")
        if len(term.value) > MAX_VALUE:
            raise _Refused(f"Use {MAX_VALUE} characters or fewer.")
        # PostgreSQL refuses NUL in a parameter; no field needs any control character.
        if not is_plain(term.value):
            raise _Refused("Remove the characters that cannot be printed.")
        if not term.key and found["bare"] in _OPERATORS:
            said = "All terms must fit, several levels or actions are alternatives, - leaves out."
            instead = self._with(term, _quoted(term.value))
            raise _Refused(f"{said} To find the word, put it in quotes.", instead)

    def _take(self, term: Term) -> None:
        fields = self._fields(term)
        if term.negated:
            self._wanted["without"] += (LogQuery(**fields),)
            return
        for slot in slots(term.key, fields):
            if slot in self._taken:
                said = f"{self._taken[slot]} already asks for another value of this."
                said = f"{said} {instead_of_two(term.key)}"
                raise _Refused(said, self._with(term, ""))
            self._taken[slot] = str(term)
        for name, value in fields.items():
            if name in SEVERAL:
                value = tuple(dict.fromkeys((*self._wanted.get(name, ()), *value)))
            self._wanted[name] = value

    def _fields(self, term: Term) -> dict[str, Any]:
        if not term.key:
            return {"texts": (term.value,)}
        key = KEYS[term.key]
        try:
            return key.read(term.value)
        except BadValue as error:
            if key.foreign and term.quoted and not term.value.startswith((">", "<")):
                return key.foreign(term.value)
            near = error.instead and str(Term(term.key, error.instead, term.negated))
            raise _Refused(str(error), self._with(term, near) if near else None) from None

    def _refuse_key(self, term: Term, spelt: str) -> NoReturn:
        near = SYNONYMS.get(term.key) or nearest(term.key, tuple(KEYS))
        if near is not None:
            value = str(Term(near, term.value, term.negated)) if term.value else f"{near}:"
            said = f"There is no key {spelt}. Did you mean {near}?"
            raise _Refused(said, self._with(term, value))
        words = self._text[term.start + term.negated : term.end]
        said = f"There is no key {spelt}. To look for these words, put them in quotes."
        raise _Refused(said, self._with(term, "-" * term.negated + _quoted(words)))

    def _with(self, term: Term, replacement: str) -> str:
        return f"{self._text[: term.start]}{replacement}{self._text[term.end :]}".strip()


def _term(found: re.Match[str]) -> Term:
    minus, key, bare = bool(found["minus"]), (found["key"] or "").lower(), found["bare"]
    value = bare if bare is not None else _ESCAPED.sub(r"\1", found["quoted"])
    if minus and not key and bare == "":
        # A dash that stands alone is one to be found.
        minus, value = False, "-"
    return Term(key, value, minus, found.start(), found.end(), quoted=bare is None)


def _is_foreign(term: Term) -> bool:
    """Tell whether a value is none of ours, which is asked for in quotation marks."""
    key = KEYS.get(term.key)
    try:
        return bool(key and key.foreign and not key.read(term.value))
    except BadValue:
        return True


def _reads_as_more(words: str) -> bool:
    return bool(_LIKE_A_KEY.match(words)) or words in _OPERATORS


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
