"""What a text of one line may hold, whatever it is for."""

import unicodedata

# Control characters, lone surrogates, line and paragraph separators.
_FORBIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
# What turns the order of the characters around it, so that a text reads as another one.
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def is_plain(text: str, allowed: str = "") -> bool:
    """Tell whether a text holds only what a person can type on one line, and what is allowed."""
    return all(c in allowed or unicodedata.category(c) not in _FORBIDDEN for c in text)


def is_visible(text: str) -> bool:
    """Tell whether a text shows anything: a letter, a digit, a sign, not only spaces."""
    return any(unicodedata.category(c)[0] in "LNPS" for c in text)


def turns_text(text: str) -> bool:
    """Tell whether a text holds a control of its direction, which can make it read as another."""
    return any(unicodedata.bidirectional(c) in _TURNING for c in text)
