"""What secrets look like: names that hold one, and shapes that give one away in a text.

Each pattern takes time in proportion to the text, whatever is in it: texts come from strangers.
"""

import re

_STRONG = (
    r"password|passwd|passphrase|passcode|secret|token|authorization|cookie|csrf|sess(?:ion)?id"
    r"|(?:api|access|account|private|signing|encryption|ssh|pass)[-_ ]?key"
)
# Parts of ordinary words too: "compass", "passenger".
_WEAK = r"pass|pwd|credential|dsn|session(?:[-_ ]id)?|jwt|otp|totp|cvv"

# Only as a name's last word: an "auth_method" or a "pin_count" is no secret.
_LAST = r"auth|pin|sid|sig|signature|creds?"

# For a name in lower case, its words apart.
SENSITIVE_NAME = re.compile(rf"{_STRONG}|(?<![a-z])(?:{_WEAK})s?(?![a-z])|(?<![a-z])(?:{_LAST})$")

_NAME = (
    rf"(?:(?:{_STRONG})[\w.-]{{0,30}}+|(?<![a-z])(?:{_WEAK})s?(?:[-_.][\w.-]{{0,30}}+)?"
    rf"|(?<![a-z.])(?:{_LAST}))"
)
_SEPARATOR = (
    r"""(?:\\*["']?(?:\[\w{0,30}\]|\]|%5b\w{0,30}%5d|%5d)?\s{0,8}(?:=>|[=:]|%3d)\s{0,8}"""
    r"""|["'],[ ]?(?=["'bru]))"""
)
# A quoted text, one quoted within another, a list, or what goes on to the next delimiter.
_VALUE = (
    r"""[bru]{0,2}"(?:[^"\\\r\n]|\\.)*+"?|[bru]{0,2}'(?:[^'\\\r\n]|\\.)*+'?"""
    r"""|\\++"[^"\\\r\n]*+(?:\\++")?|\\++'[^'\\\r\n]*+(?:\\++')?"""
    r"""|\[(?:[^\]]{0,1000}+\]|[^\r\n]*+)|\((?:[^)]{0,1000}+\)|[^\r\n]*+)"""
    r"""|\{(?:[^}]{0,1000}+\}|[^\r\n]*+)|[^\s"'&,;)}\]]++"""
)

# The number of a line in a file, such as api_token.py:42, is no secret.
_NO_LINE = r"""(?!(?<=\.py:)\d{1,6}(?:[\s"',;)}\]]|\Z))"""

# Each with words of which a text must hold one to be looked at more closely.
_RULES: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (("-----begin",),
     re.compile(r"-----begin [a-z0-9 ]{0,30}private key-----(?P<secret>.*?)(?:-----end|\Z)",
                re.DOTALL)),
    # A name and a password, which may hold a slash, but is no port; or one long part, a token.
    (("://",),
     re.compile(r"""://(?P<secret>[^/\s:@\[]*+:(?:(?!\d{1,5}[/?#])[^\s"'<>,?#]{0,256}|[^/\s]*)"""
                r"""|[^/\s:@]{16,}+)@""")),
    (("bearer", "basic"),
     re.compile(r"\b(?:bearer|basic)\s{1,8}(?P<secret>[a-z0-9._~+/=-]{6,}+)")),
    (("authorization", "cookie"),
     re.compile(r"""(?:authorization|cookie)\s{0,8}[=:]\s{0,8}(?P<secret>[^\s"'({\[][^\r\n]*+)""")),
    (("pass", "pwd", "secret", "token", "auth", "cookie", "csrf", "sess", "key", "cred", "dsn",
      "jwt", "otp", "cvv", "pin", "sid", "sig"),
     re.compile(rf"{_NAME}{_SEPARATOR}{_NO_LINE}(?P<secret>{_VALUE})")),
    (("</",),
     re.compile(rf"<[\w:.-]{{0,30}}?{_NAME}(?:\s[^<>]{{0,200}}+)?>(?P<secret>[^<]++)</")),
    (("--",),
     re.compile(rf"(?<![\w-])--[\w-]{{0,30}}?{_NAME}\s{{1,8}}(?P<secret>[^\s-]\S*+)")),
    (("akia", "gh_", "ghp_", "gho_", "ghs_", "github_pat_", "xox"),
     re.compile(r"(?<!\w)(?P<secret>akia[a-z0-9]{16}|gh[ops]_[a-z0-9]{20,}+|gh_[\w-]{40,}+"
                r"|github_pat_\w{20,}+|xox[a-z]-[\w-]{10,}+)")),
    (("eyj",), re.compile(r"(?<![\w-])(?P<secret>eyj[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?)")),
    # PostgreSQL's DETAIL repeats the row's values.
    (("detail:",), re.compile(r"^detail:\s{0,8}(?P<secret>[^\r\n]++)", re.MULTILINE)),
)  # fmt: skip
# Each text that a pattern matches has one of them.
_MARKS = (
    "=", ":", "%3d", "',", '",', "--", "</", "bearer", "basic",
    "akia", "gh_", "ghp_", "gho_", "ghs_", "github_pat_", "xox", "eyj",
)  # fmt: skip


def matches(text: str) -> bool:
    """Tell, fast, whether a text holds what looks like a secret; most do not."""
    lowered = text.lower()
    for mark in _MARKS:
        if mark in lowered:
            break
    else:
        return "İ" in text  # See below.
    if "İ" in text:
        return True
    # Plain loops: generators take three times as long, and each record comes by here.
    for words, pattern in _RULES:
        for word in words:
            if word in lowered:
                if pattern.search(lowered):
                    return True
                break
    return False


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
