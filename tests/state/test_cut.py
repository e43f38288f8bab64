"""From events to state: however a stream is cut into fetches, every partition ends in the same state."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.blocks import FACTS, HEADS, PRODUCTS, from_ipc
from streams.fetch.handler import Fetch, RawRecord
from streams.ingest.facts import DAY_MS, Combined, Tables, from_orders, from_searches
from streams.ingest.shapes import ORDERS, SEARCHES
from streams.ingest.shuffle import blocks
from streams.state.partition import PartitionState

PARTITIONS = 2
FETCH = Fetch("query-purchase", 0, [RawRecord(0, 0, None, None)])

times = st.integers(0, 5 * DAY_MS).map(lambda ms: 20_000 * DAY_MS + ms)
products = st.builds(
    lambda number, version: {
        "product_id": f"p{number}",
        "title": f"Product {number} {version}",
        "product_type": None if version % 3 == 0 else f"type {version}",
        "category": None if version % 2 else f"category {version}",
    },
    st.integers(0, 5),
    st.integers(0, 5),
)
sessions = st.integers(0, 9).map(lambda number: f"s{number}")


def _flat(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, **event["product"]}


searches = st.fixed_dictionaries(
    {
        "event_time": times,
        "session_id": sessions,
        "query": st.sampled_from(["pasta", "sauce", "cheese"]),
        "action": st.integers(1, 4),
        "product": products,
    }
).map(_flat)
orders = st.fixed_dictionaries(
    {
        "event_time": times,
        "session_id": sessions,
        "items": st.lists(products, min_size=2, max_size=4, unique_by=lambda product: product["product_id"]),
    }
)


def state_of(
    events: Sequence[dict[str, Any]],
    size: int,
    shape: pl.Schema,
    combine: Callable[[pl.DataFrame], Combined],
) -> list[str]:
    """Fingerprints of the partitions when a fetch holds ``size`` events."""
    states = [PartitionState(sessions_kept=3, horizon_days=3) for _ in range(PARTITIONS)]
    for at in range(0, len(events), size):
        rows = pl.DataFrame(events[at : at + size], schema=shape)
        for partition, block in blocks(FETCH, combine(rows), PARTITIONS):
            states[partition].add(
                Tables(
                    facts=from_ipc(block.facts, FACTS),
                    heads=from_ipc(block.heads, HEADS),
                    products=from_ipc(block.products, PRODUCTS),
                )
            )
    return [state.fingerprint() for state in states]


@settings(max_examples=40, deadline=None)
@given(st.lists(searches, min_size=2, max_size=30), st.randoms(use_true_random=False))
def test_searches(events: list[dict[str, Any]], chance: random.Random) -> None:
    shuffled = chance.sample(events, len(events))
    schema = SEARCHES.rows
    assert state_of(events, len(events), schema, from_searches) == state_of(shuffled, 3, schema, from_searches)


@settings(max_examples=40, deadline=None)
@given(st.lists(orders, min_size=2, max_size=15), st.randoms(use_true_random=False))
def test_orders(events: list[dict[str, Any]], chance: random.Random) -> None:
    shuffled = chance.sample(events, len(events))
    schema = ORDERS.rows
    assert state_of(events, len(events), schema, from_orders) == state_of(shuffled, 2, schema, from_orders)
