from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.blueprints.auth.next_url import safe_next

BASE = "https://own.example/auth/login"


@pytest.mark.parametrize(
    "target", ["/", "/items", "/items/1?edit=1&q=a%20b#top", "/ä", "/a//b", "/a:b"]
)
def test_a_path_of_this_site_is_accepted(target: str) -> None:
    assert safe_next(target) == target


@pytest.mark.parametrize(
    "target",
    [
        None, "", "items", "//evil.example", "///evil.example", "////evil.example",
        "/\\evil.example", "\\\\evil.example", "/\\/evil.example", "https:evil.example",
        "https://evil.example", "https:/evil.example", "http:///evil.example", "HTTPS:evil.example",
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "mailto:a@example.com",
        " //evil.example", "\t//evil.example", "/\t/evil.example", "/\n/evil.example",
        "/\r/evil.example", "/\0/evil.example", "/ /evil.example", "/\x7f/evil.example",
        "/\x85/evil.example", "/\u2028/evil.example", "/\u200b/evil.example", "/a\\b",
        "/\ud800", "?next=//evil.example", "#//evil.example", "@evil.example", ".//evil.example",
        "/" + "a" * 2000, "//[", "//own.example/items",
    ],
)  # fmt: skip
def test_everything_else_is_refused(target: str | None) -> None:
    assert safe_next(target) is None


@given(st.text() | st.text(alphabet="/\\:@.?#\t\n ehtps[]%5c").map(lambda text: "/" + text))
@example("/\\evil")
@example("/%5cevil")
def test_no_accepted_target_leads_to_another_site(target: str) -> None:
    accepted = safe_next(target)
    if accepted is None:
        return
    # As a browser reads it: no control characters, and `\` is `/`.
    read = "".join(char for char in accepted if char > " ").replace("\\", "/")
    there = urlsplit(urljoin(BASE, read))
    assert (there.scheme, there.netloc) == ("https", "own.example")
