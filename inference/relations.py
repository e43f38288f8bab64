"""The 15 relations of COSMO as data (``data/relations.toml``), and which of them are asked of a pair."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from inference.ids import choice
from schemas.records import BehaviorPair, PairKind

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """What links a head to a tail.

    Name, tail type and example are those of the COSMO paper (Table 2); the definition and the surface patterns are
    ours, for the paper prints none. ``suits`` maps a pair kind to a weight above 0.
    """

    name: str
    paper_name: str
    tail_type: str
    example: str
    definition: str
    patterns: tuple[str, ...]
    suits: Mapping[PairKind, float]
    about: frozenset[str] = frozenset()

    def fits(self, kind: PairKind, words: frozenset[str]) -> bool:
        """Whether to ask it of a pair of that kind that speaks of these (lower-case) words."""
        return kind in self.suits and (not self.about or not self.about.isdisjoint(words))


@cache
def all_relations() -> Mapping[str, Relation]:
    """Every relation by name, in the paper's order."""
    data = tomllib.loads(resources.files("inference").joinpath("data/relations.toml").read_text("utf-8"))
    return {name: _relation(name, fields) for name, fields in data.items()}


def choose(pair: BehaviorPair, count: int) -> tuple[str, ...]:
    """The names of at most ``count`` relations to ask of this pair.

    Weighted rendezvous hashing: the same pair is always asked the same, relations come up as often as their weights
    say, and a new relation moves only the pairs that it wins.
    """
    words = _words(pair)
    ranked = sorted(
        (math.log(choice((pair.pair_id, relation.name))) / relation.suits[pair.kind], relation.name)
        for relation in all_relations().values()
        if relation.fits(pair.kind, words)
    )
    return tuple(name for _, name in reversed(ranked[-count:])) if count > 0 else ()


def _words(pair: BehaviorPair) -> frozenset[str]:
    texts = [pair.query or ""]
    texts += [
        text or "" for product in pair.products for text in (product.title, product.product_type, product.category)
    ]
    return frozenset(word for text in texts for word in _WORD.findall(text.casefold()))


def _relation(name: str, fields: dict[str, Any]) -> Relation:
    return Relation(
        name=name,
        paper_name=fields["paper_name"],
        tail_type=fields["tail_type"],
        example=fields["example"],
        definition=fields["definition"],
        patterns=tuple(fields["patterns"]),
        suits={PairKind(kind): weight for kind, weight in fields["suits"].items()},
        about=frozenset(fields.get("about", ())),
    )
