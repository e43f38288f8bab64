"""The tables behind the readable titles and the simulated queries: data of this package, read once and when needed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """``data/words.toml``: what the catalogue's abbreviations stand for. Its comments say what each table is."""

    acronyms: frozenset[str]
    small: frozenset[str]
    not_products: frozenset[str]
    before: frozenset[str]
    after: frozenset[str]
    nouns: Mapping[str, str]
    prefixes: Mapping[str, str]
    texts: Mapping[str, str]
    starts: Mapping[str, str]
    stumps: Mapping[str, str]
    words: Mapping[str, str]
    remarks: frozenset[str]
    units: Mapping[str, str]


@cache
def words() -> Words:
    """The tables of titles."""
    table = table_of("words.toml")
    table["remarks"] = table["remarks"]["drop"]
    parts: dict[str, Any] = {k: frozenset(v) if isinstance(v, list) else v for k, v in table.items()}
    return Words(**parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """``data/queries.toml``: how people say what the catalogue calls a type or a category."""

    fillers: frozenset[str]
    spoken: Mapping[str, Sequence[str]]
    broad: Mapping[str, Sequence[str]]
    occasions: Mapping[str, Sequence[str]]


@cache
def speech() -> Speech:
    """The tables of queries."""
    table = table_of("queries.toml")
    return Speech(fillers=frozenset(table.pop("fillers")), **table)


def table_of(name: str) -> dict[str, Any]:
    """A TOML file of ``cosmo/demo/data``."""
    return tomllib.loads(files("cosmo.demo").joinpath("data", name).read_text("utf-8"))
