"""What an undisturbed run comes to, reckoned in this process: facts in plain Python, the rest by the pure functions.

Nothing here has met a broker, a worker or a clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import polars as pl

from schemas.records import BehaviorPair, CoPurchase, QueryPurchase
from streams.blocks import FactAction, product_hash, query_hash
from streams.ingest.facts import from_orders, from_searches
from streams.ingest.shapes import ORDERS, SEARCHES
from streams.sampling.described import described
from tests.faults.world import Event, Fact
from tests.sampling.cluster import Cluster


@dataclass(frozen=True)
class Expected:
    """The end of the stream as it should be. ``partitions`` is that of pair-counts."""

    events: Sequence[Event]
    partitions: int
    now: datetime

    @cached_property
    def facts(self) -> frozenset[Fact]:
        """Of all events; a session on two days counts on the newer."""
        newest: dict[tuple[int, int, int, int], int] = {}
        for event in self.events:
            for head, other, bucket, action, session in event.facts:
                key = (head, other, action, session)
                newest[key] = max(bucket, newest.get(key, bucket))
        return frozenset(
            (head, other, bucket, action, session) for (head, other, action, session), bucket in newest.items()
        )

    @cached_property
    def refused(self) -> Mapping[bytes, Event]:
        """Events that belong in the dead letters, by key."""
        return {event.key: event for event in self.events if event.reason is not None}

    @cached_property
    def cluster(self) -> Cluster:
        """Samplers that were given everything at once, and have come to rest."""
        cluster = Cluster(self.partitions)
        for combined in (from_searches(self._rows(QueryPurchase)), from_orders(self._rows(CoPurchase))):
            for number, board in enumerate(cluster.boards):
                tables = combined.tables(number, self.partitions)
                board.touch(cluster.states[number].add(tables))
        cluster.settle()
        return cluster

    @cached_property
    def fingerprints(self) -> Mapping[int, str]:
        return {number: state.fingerprint() for number, state in enumerate(self.cluster.states)}

    @cached_property
    def pairs(self) -> Mapping[str, BehaviorPair]:
        """Every pair that qualifies in the end, with its figures of the end, by id."""
        cluster = self.cluster
        found: dict[str, BehaviorPair] = {}
        for board, state in zip(cluster.boards, cluster.states, strict=True):
            for pair in described(state, board.due(self.now), self.now):
                found[pair.pair_id] = pair
        return found

    @cached_property
    def sessions(self) -> Mapping[tuple[int, int, int], frozenset[int]]:
        """Sessions by head, other and action."""
        found: dict[tuple[int, int, int], set[int]] = defaultdict(set)
        for head, other, _, action, session in self.facts:
            found[head, other, action].add(session)
        return {key: frozenset(value) for key, value in found.items()}

    def support(self, pair: BehaviorPair) -> int:
        """Distinct sessions that bought what the pair says."""
        if pair.query is not None:
            key = query_hash(pair.query), product_hash(pair.products[0].product_id), int(FactAction.PURCHASE)
        else:
            one, other = (product_hash(product.product_id) for product in pair.products)
            key = one, other, int(FactAction.CO_PURCHASE)
        return len(self.sessions.get(key, ()))

    def _rows(self, kind: type[QueryPurchase | CoPurchase]) -> pl.DataFrame:
        """The events of one kind as the decoder would give them, in one fetch."""
        shape: Any = SEARCHES if kind is QueryPurchase else ORDERS
        records = (event.record for event in self.events if isinstance(event.record, kind))
        return pl.DataFrame([shape.from_record(record) for record in records], schema=shape.rows)


def level(support: int) -> int:
    """The power of two that a support has reached: a pair is asked again when it enters the next."""
    return max(support, 1).bit_length() - 1


def by_partition(facts: Iterable[Fact], partitions: int) -> Mapping[int, frozenset[Fact]]:
    found: dict[int, set[Fact]] = {number: set() for number in range(partitions)}
    for fact in facts:
        found[fact[0] % partitions].add(fact)
    return {number: frozenset(some) for number, some in found.items()}
