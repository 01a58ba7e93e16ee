"""What secrets look like: names that hold one, and shapes that give one away in a text.

Each pattern takes time in proportion to the text, whatever is in it: texts come from strangers.
"""

import re

_STRONG = (
    r"password|passwd|passphrase|passcode|secret|token|authorization|cookie|csrf|sess(?:ion)?id"
    r"|(?:api|access|private|signing|encryption|ssh)[-_ ]?key"
)
# Parts of ordinary words too: "compass", "passenger".
_WEAK = r"pass|pwd|credential|dsn|session(?:[-_ ]id)?|jwt|otp|totp|cvv"

# For a name in lower case, its words apart.
SENSITIVE_NAME = re.compile(rf"{_STRONG}|(?<![a-z])(?:{_WEAK})s?(?![a-z])")

_NAME = rf"(?:(?:{_STRONG})[\w.-]{{0,30}}+|(?<![a-z])(?:{_WEAK})s?(?:[-_.][\w.-]{{0,30}}+)?)"
_SEPARATOR = r"""(?:\\*["']?\]?\s{0,8}[=:]\s{0,8}|["'],[ ]?(?=["'bru]))"""
# A quoted text, one quoted within another, a list, or what goes on to the next delimiter.
_VALUE = (
    r"""[bru]{0,2}"(?:[^"\\\r\n]|\\.)*+"?|[bru]{0,2}'(?:[^'\\\r\n]|\\.)*+'?"""
    r"""|\\++"[^"\\\r\n]*+(?:\\++")?|\\++'[^'\\\r\n]*+(?:\\++')?"""
    r"""|\[(?:[^\]]{0,1000}+\]|[^\r\n]*+)|\((?:[^)]{0,1000}+\)|[^\r\n]*+)"""
    r"""|\{(?:[^}]{0,1000}+\}|[^\r\n]*+)|[^\s"'&,;)}\]]++"""
)

# Each with words of which a text must hold one to be looked at more closely.
_RULES: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (("://",), re.compile(r"://(?P<secret>[^/\s:@]*+:[^/\s]*)@")),
    (("bearer", "basic"),
     re.compile(r"\b(?:bearer|basic)\s{1,8}(?P<secret>[a-z0-9._~+/=-]{6,}+)")),
    (("authorization", "cookie"),
     re.compile(r"""(?:authorization|cookie)\s{0,8}[=:]\s{0,8}(?P<secret>[^\s"'({\[][^\r\n]*+)""")),
    (("pass", "pwd", "secret", "token", "auth", "cookie", "csrf", "sess", "key", "credential",
      "dsn", "jwt", "otp", "cvv"),
     re.compile(rf"{_NAME}{_SEPARATOR}(?P<secret>{_VALUE})")),
    (("eyj",), re.compile(r"(?<![\w-])(?P<secret>eyj[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?)")),
    # PostgreSQL's DETAIL repeats the row's values.
    (("detail:",), re.compile(r"^detail:\s{0,8}(?P<secret>[^\r\n]++)", re.MULTILINE)),
)  # fmt: skip
_WORDS = tuple(word for words, _ in _RULES for word in words)


def may_match(text: str) -> bool:
    """Tell, fast, whether a text may hold what looks like a secret or names one; most do not."""
    lowered = text.lower()
    for word in _WORDS:
        if word in lowered:
            return True
    return "İ" in text  # See below.


def mask_patterns(text: str, mask: str) -> str:
    """Return `text` with what looks like a secret replaced by `mask`."""
    # Patterns that see lower case only are several times as fast as those that ignore case.
    lowered = text.lower()
    if len(lowered) != len(text):
        # The one letter whose lower case is longer would shift every position behind it.
        text = text.replace("İ", "I")
        lowered = text.lower()
    for words, pattern in _RULES:
        if any(word in lowered for word in words):
            spans = [found.span("secret") for found in pattern.finditer(lowered)]
            if spans:
                text = _masked(text, spans, mask)
                lowered = text.lower()
    return text


def _masked(text: str, spans: list[tuple[int, int]], mask: str) -> str:
    parts, end = [], 0
    for start, stop in spans:
        parts += [text[end:start], mask]
        end = stop
    return "".join([*parts, text[end:]])
