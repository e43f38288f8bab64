"""Shopper text is data, never instruction: what a prompt quotes cannot leave its quotes or take up the prompt."""

from __future__ import annotations

import re
import unicodedata

MAX_CHARS = 120
"""Longest quoted text. A title's first 120 characters name the product; the rest is for search engines,
and prompts stay short enough for a context of 1,024 tokens."""

_MARKS = str.maketrans(
    dict.fromkeys('"`´‘‚‛“”„‟«»‹›「」『』″′＂＇\\<>[]{}|', " ") | {"’": "'"}
)  # brackets frame chat roles
_LONE_APOSTROPHE = re.compile(r"(?<!\w)'|'(?!\w)")
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def quoted(text: str, *, max_chars: int = MAX_CHARS) -> str:
    """``text`` on one line in double quotes, without control characters, quote marks or brackets, cut at a word.

    Text that is nothing but those gives ``""`` (two quotes): the form of the prompt is the same whatever was typed.
    """
    shown = "".join(" " if unicodedata.category(c) in _DROPPED else c for c in text[: 4 * max_chars])
    words = _LONE_APOSTROPHE.sub(" ", shown.translate(_MARKS)).split()
    return f'"{_cut(" ".join(words), max_chars)}"'


def _cut(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    whole, _, _ = text[: max_chars + 1].rpartition(" ")
    return whole or text[:max_chars]
