"""Counts the knowledge graph: nodes, edges, and edges by relation and by domain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import xxhash

from schemas.records import HeadKind, Intent

UNKNOWN_DOMAIN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """An edge is one intent, whatever the number of pairs that are evidence for it. Node and edge kinds by count."""

    nodes: dict[str, int]
    """Heads by kind (QUERY, PRODUCT, PRODUCT_PAIR), and TAIL: distinct tails, compared by their key."""
    edges: int
    evidence: int
    edges_by_relation: dict[str, int]
    edges_by_domain: dict[str, int]
    """By the category of the first product; an edge with evidence in two domains counts in both."""


@dataclass(slots=True)
class Graph:
    """Sets of 64-bit hashes: about 300 bytes an edge. The order of `add` does not matter, nor does repetition."""

    _heads: dict[HeadKind, set[int]] = field(default_factory=dict)
    _tails: set[int] = field(default_factory=set)
    _evidence: set[int] = field(default_factory=set)
    _by_relation: dict[str, set[int]] = field(default_factory=dict)
    _by_domain: dict[str, set[int]] = field(default_factory=dict)

    def add(self, intents: Iterable[Intent]) -> None:
        """Take on evidence."""
        for intent in intents:
            edge = _hash(intent.intent_id)
            self._heads.setdefault(intent.head_kind, set()).add(_hash(intent.head))
            self._tails.add(_hash(intent.tail_key))
            self._evidence.add(_hash(f"{intent.intent_id}/{intent.pair_id}"))
            self._by_relation.setdefault(intent.relation, set()).add(edge)
            self._by_domain.setdefault(domain(intent), set()).add(edge)

    def counts(self) -> Counts:
        """The counts so far, greatest first."""
        heads = {kind.value: len(self._heads.get(kind, ())) for kind in HeadKind if kind is not HeadKind.UNKNOWN}
        by_relation = _sizes(self._by_relation)
        return Counts(
            nodes={**heads, "TAIL": len(self._tails)},
            edges=sum(by_relation.values()),
            evidence=len(self._evidence),
            edges_by_relation=by_relation,
            edges_by_domain=_sizes(self._by_domain),
        )


def domain(intent: Intent) -> str:
    """The category of the first product that has one."""
    return next((product.category for product in intent.products if product.category), UNKNOWN_DOMAIN)


def _sizes(sets: dict[str, set[int]]) -> dict[str, int]:
    return dict(Counter({name: len(members) for name, members in sets.items()}).most_common())


def _hash(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode())
