"""English words by what they carry, from ``data/words.toml``: enough grammar for the filters."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib import resources

from inference.normalize import key_of


def content_words(text: str) -> tuple[str, ...]:
    """The words that carry meaning, in order, without plural endings."""
    return tuple(stem(word) for word in key_of(text).split() if word not in GRAMMAR)


def stems(texts: Iterable[str | None]) -> frozenset[str]:
    """Every content word of some texts."""
    return frozenset(word for text in texts if text for word in content_words(text))


def stem(word: str) -> str:
    """Without a plural's ending: enough to compare, too little to show."""
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


_DATA = tomllib.loads(resources.files("inference").joinpath("data/words.toml").read_text("utf-8"))

DANGLING = frozenset(_DATA["dangling"].split())
"""A phrase that ends in one of these was not finished."""
GRAMMAR = DANGLING | frozenset(_DATA["grammar"].split())
"""Words that say nothing by themselves."""
WEAK = frozenset(stem(word) for word in _DATA["weak"].split())
"""Stems that say next to nothing about why somebody buys something."""
