from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.log_keys import KEYS
from app.services.log_language import MAX_TERMS, Term, parse, with_term, without_term
from app.services.log_service import WITHOUT_SAMPLES, LogQuery


def query(**fields: Any) -> LogQuery:
    without = fields.pop("without", ())
    return LogQuery(**fields, without=(*without, *WITHOUT_SAMPLES))


def leaving_out(**fields: Any) -> LogQuery:
    return query(without=(LogQuery(**fields),))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", query()),
        ("disk  full", query(texts=("disk", "full"))),
        ('"disk full" now', query(texts=("disk full", "now"))),
        (r'"say \"hi\" \\ "', query(texts=('say "hi" \\ ',))),
        ('-noise -"two words"', query(without=(LogQuery(texts=("noise",)),
                                               LogQuery(texts=("two words",))))),
        ("12:30:05 a-b -", query(texts=("12:30:05", "a-b", "-"))),
        ('"level:error" {"a":1}', query(texts=("level:error", '{"a":1}'))),
        ("level:error Level:INFO", query(levels=("ERROR", "INFO"))),
        ("level:>=warning", query(levels=("WARNING", "ERROR", "CRITICAL"))),
        ("-level:<warning", leaving_out(levels=("DEBUG", "INFO"))),
        ("action:sample", LogQuery(actions=("sample",))),
        ("-action:request", leaving_out(actions=("request",))),
        ("request:r-1", LogQuery(request_id="r-1")),
        ("user:7 account:Ann@B.c", query(user_id="7", account="ann@b.c")),
        ("user:Ann@B.c", query(account="ann@b.c")),
        ("status:404", query(status_min=404, status_max=404)),
        ("status:5XX", query(status_min=500, status_max=599)),
        ("status:9xx", query(status_min=900, status_max=999)),
        ("status:>399 status:<=499", query(status_min=400, status_max=499)),
        ("route:/items/<int:item_id>", query(route="/items/<int:item_id>")),
        ('route:"/a b"', query(route="/a b")),
        ("duration:>500 duration:<=1.5s", query(min_duration_ms=500.0, max_duration_ms=1500.0)),
        ("duration:>2m", query(min_duration_ms=120_000.0)),
        ("error:a1b2", query(fingerprint="a1b2")),
        ('error:"Oops!" level:"notice" level:">=error"',
         query(fingerprint="Oops!", levels=("NOTICE", "ERROR", "CRITICAL"))),
        ('action:"Log_In"', LogQuery(actions=("Log_In",))),
        ("method:get method:PUT", query(equal=(("method", "GET"), ("method", "PUT")))),
        ("item:42", query(equal=(("target_type", "item"), ("target_id", "42")))),
        ("target:user/7", query(equal=(("target_type", "user"), ("target_id", "7")))),
        ("target:user", query(equal=(("target_type", "user"),))),
        ("parent:r-1 address:::1", query(equal=(("parent_request_id", "r-1"),
                                                ("remote_addr", "::1")))),
    ],
)  # fmt: skip
def test_terms_become_a_query(text: str, wanted: LogQuery) -> None:
    search = parse(text)
    assert search.problems == ()
    assert search.query == wanted
    assert parse(" ".join(map(str, search.terms))).query == wanted


@pytest.mark.parametrize(
    ("text", "marked", "says", "instead"),
    [
        ("a lvel:error b", "lvel:error", "no key lvel. Did you mean level?", "a level:error b"),
        ("-ip:1.2.3.4", "-ip:1.2.3.4", "Did you mean address?", "-address:1.2.3.4"),
        ("see http://x", "http://x", "put them in quotes", 'see "http://x"'),
        ("level:eror", "level:eror", "Levels are debug", "level:error"),
        ("level:>=warn", "level:>=warn", "Levels are", "level:>=warning"),
        ("level:>critical", "level:>critical", "no level above", None),
        ('level:">=eror"', 'level:">=eror"', "Levels are debug", "level:>=error"),
        ("status:5x", "status:5x", "404, a class such as 5xx", "status:5xx"),
        ("duration:500", "duration:500", "Write a duration such as >500", "duration:>500"),
        ("action:Log_In", "action:Log_In", "small letters", "action:log_in"),
        ('request:"a b"', 'request:"a b"', "1 to 64 letters", None),
        ("error:Oops!", "error:Oops!", "no error's fingerprint", None),
        ("target:/7", "target:/7", "which one", None),
        ("x level:", "level:", "such as level:>=warning", None),
        ('""', '""', "Say what to look for", None),
        ('a "b c', '"b c', "ends this is missing", 'a "b c"'),
        ("user:7 a user:8", "user:8", "user:7 already asks", "user:7 a"),
        (
            "status:404 status:403",
            "status:403",
            "both ends, as in status:>=400 status:<500",
            "status:404",
        ),
        ("item:1 target:user", "target:user", "item:1 already asks", "item:1"),
        ("a OR b", "OR", "All terms must fit", 'a "OR" b'),
        ("a\0b", "a\0b", "cannot be printed", None),
        ("x" * 301, "x" * 301, "300 characters", None),
    ],
)
def test_what_cannot_be_read_is_marked_and_explained_and_nothing_is_asked(
    text: str, marked: str, says: str, instead: str | None
) -> None:
    search = parse(text)
    (problem,) = search.problems
    assert text[problem.start : problem.end] == marked
    assert says in problem.message
    assert problem.instead == instead
    assert search.query == LogQuery()
    assert search.text == text
    if instead is not None:
        assert parse(instead).problems == ()


def test_problems_come_in_the_order_of_the_text_and_long_searches_are_refused() -> None:
    found = [problem.start for problem in parse("levl:x a status:9 b:c").problems]
    assert found == [0, 9, 18]
    assert "terms or fewer" in parse("a " * (MAX_TERMS + 1)).problems[0].message
    assert "characters or fewer" in parse("x " * 2000).problems[0].message


VALUES = st.text(min_size=1, max_size=12) | st.sampled_from(
    ["error", ">=info", "a@b.c", "404", "5xx", ">1.5s", "-", "--x", "a:b", '"', "\\", "OR", "x y"]
)
TERMS = st.builds(Term, st.sampled_from(["", *KEYS]), VALUES, st.booleans())


@given(st.lists(TERMS, max_size=6))
def test_printed_terms_are_read_as_the_same_terms(terms: list[Term]) -> None:
    text = " ".join(map(str, terms))
    search = parse(text)
    if not search.problems:
        assert list(search.terms) == terms
        again = parse(" ".join(map(str, search.terms)))
        assert (again.query, again.terms) == (search.query, search.terms)


@given(st.text(max_size=80) | st.lists(TERMS, max_size=9).map(lambda some: " ".join(map(str, some)))
       | st.text('-:" \\<>=levrnoitus0x', max_size=60))  # fmt: skip
def test_no_text_whatever_raises_and_every_problem_is_in_it(text: str) -> None:
    search = parse(text)
    for problem in search.problems:
        assert 0 <= problem.start < problem.end <= len(search.text)
    assert not (search.problems and search.query != LogQuery())


@pytest.mark.parametrize(
    ("text", "click", "wanted"),
    [
        ("", ("level", "error", False), "level:error"),
        ("disk level:>=warning", ("level", "error", False), "disk level:error"),
        ("disk", ("route", "/a b", True), 'disk -route:"/a b"'),
        ("-level:error", ("level", "error", False), "level:error"),
        ("level:error -host:a", ("host", "b", True), "level:error -host:a -host:b"),
        ("level:error", ("level", "error", True), "-level:error"),
        ("a", ("", "b", False), "a b"),
    ],
)
def test_a_click_narrows_to_a_value_or_leaves_it_out(
    text: str, click: tuple[str, str, bool], wanted: str
) -> None:
    key, value, negated = click
    assert with_term(text, key, value, negated=negated) == wanted


def test_a_click_replaces_what_asks_for_another_value_of_the_same_field() -> None:
    """The page offers users beside an `account:`; following its link is no contradiction."""
    assert with_term("account:ann@b.c a", "user", "bob@b.c") == "a user:bob@b.c"
    assert with_term("user:7 a", "user", "bob@b.c") == "a user:bob@b.c"
    assert with_term("account:ann@b.c", "user", "7") == "account:ann@b.c user:7"
    assert with_term("item:1 a", "target", "user/7") == "a target:user/7"


def test_a_user_who_is_no_address_is_looked_for_as_the_log_spells_it() -> None:
    assert parse("user:Root").query.account == parse("account:Root").query.account == "Root"
    assert parse("user:Ann@B.c").query.account == "ann@b.c"


def test_a_term_can_be_taken_away() -> None:
    text = 'level:error "a b" -host:x'
    rest = [without_term(text, term) for term in parse(text).terms]
    assert rest == ['"a b" -host:x', "level:error -host:x", 'level:error "a b"']


def test_what_is_recorded_of_a_search_is_no_text_that_was_typed() -> None:
    told = parse('hunter2 user:7 -level:info "my secret" -level:debug').audit()
    assert told == {"keys": "user -level", "text_length": "16"}
    assert parse("").audit() == {}
