"""Text as it is compared: one tail, whatever its capitals, articles and punctuation, has one key."""

from __future__ import annotations

import re
import unicodedata

_NOT_WORD = re.compile(r"[^\w%&+]+")
_ARTICLES = frozenset({"a", "an", "the"})


def key_of(text: str) -> str:
    """NFKC, casefolded, punctuation and articles left out, one space between words.

    Idempotent: the key of a key is itself. Empty when nothing remains that could be compared.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    words = _NOT_WORD.sub(" ", folded).replace("_", " ").split()
    return " ".join(word for word in words if word not in _ARTICLES)
