"""Text from outside, made fit to store: the repairs that every free text on an input topic goes through.

The character classes are written so that Python's ``re`` and Rust's ``regex`` (polars) read them alike; the columnar
path uses the same two patterns, and a property test holds both to the same result.
"""

from __future__ import annotations

import re

INVISIBLE = "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
"""Soft hyphen, zero-width space, marks of direction, word joiner, byte order mark: never seen, and able to make two
equal queries differ or to turn a line's order around. Joiners (U+200C, U+200D) stay: Persian and emoji need them."""

SPACE_LIKE = "[\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
"""A run of control characters (Unicode Cc) and of every kind of space (Zs, Zl, Zp)."""

_INVISIBLE, _SPACE_LIKE, _CONTROL = re.compile(INVISIBLE), re.compile(SPACE_LIKE), re.compile("[\x00-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """Drop the invisible, turn each run of controls and spaces into one space, and cut both ends. Idempotent."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip(" ")
    return _SPACE_LIKE.sub(" ", _INVISIBLE.sub("", text)).strip(" ")


def has_control(text: str) -> bool:
    """Whether a control character (Unicode Cc: NUL, line feed, escape…) is in the text."""
    return not text.isprintable() and _CONTROL.search(text) is not None


def has_lone_surrogate(text: str) -> bool:
    """Whether the text holds half of a UTF-16 pair, which no UTF-8 can carry. Only text from JSON can."""
    if text.isascii():
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
