"""A fetch becomes blocks that the topic takes, whatever it holds, and nothing of it is missing from them."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.records import PairCounts
from streams import topics
from streams.blocks import FACTS, HEADS, PRODUCTS, TOTALS_HEAD, from_ipc
from streams.fetch.handler import Fetch, RawRecord
from streams.ingest import shuffle
from streams.ingest.facts import Combined, Tables, from_orders, from_searches
from streams.ingest.shapes import ORDERS, SEARCHES

FETCH = Fetch("query-purchase", 0, [RawRecord(0, 0, None, None)])
PARTITIONS = 2
NOON_MS = 1_764_000_000_000


def product(number: int, size: int) -> dict[str, str]:
    label = "c" * size
    return {"product_id": f"p{number}", "title": label, "product_type": f"{label}{number % 7}", "category": label}


def searches(count: int, *, chars: int) -> Combined:
    rows = [
        {"event_time": NOON_MS, "session_id": f"s{n}", "query": f"{'q' * chars} {n}", "action": 4, **product(n, chars)}
        for n in range(count)
    ]
    return from_searches(pl.DataFrame(rows, schema=SEARCHES.rows))


def orders(count: int, *, items: int, chars: int) -> Combined:
    rows = [
        {
            "event_time": NOON_MS,
            "session_id": f"s{n}",
            "items": [product(n * items + at, chars) for at in range(items)],
        }
        for n in range(count)
    ]
    return from_orders(pl.DataFrame(rows, schema=ORDERS.rows))


def tables(block: PairCounts) -> Tables:
    return Tables(
        facts=from_ipc(block.facts, FACTS),
        heads=from_ipc(block.heads, HEADS),
        products=from_ipc(block.products, PRODUCTS),
    )


def size_bytes(block: PairCounts) -> int:
    return len(block.facts) + len(block.heads) + len(block.products)


@pytest.mark.parametrize(
    "combined",
    [searches(20_000, chars=250), orders(400, items=100, chars=250)],
    ids=["long queries", "orders of long titles"],
)
def test_a_block_is_never_larger_than_the_topic_takes(combined: Combined) -> None:
    made = [block for _, block in shuffle.blocks(FETCH, combined, PARTITIONS)]
    assert max(map(size_bytes, made)) < topics.PAIR_COUNTS.max_message_bytes - 64 * 1024


@pytest.mark.parametrize("combined", [searches(60, chars=9), orders(12, items=5, chars=9)], ids=["searches", "orders"])
def test_cut_small_or_not_blocks_hold_the_same(combined: Combined, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = united(combined)
    monkeypatch.setattr(shuffle, "MAX_FACTS", 11)
    monkeypatch.setattr(shuffle, "MAX_TEXT_BYTES", 700)
    for before, after in zip(whole, united(combined), strict=True):
        assert_frame_equal(before, after)


def test_types_come_before_facts_and_texts_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffle, "MAX_TEXT_BYTES", 700)
    known: dict[int, set[int]] = {number: set() for number in range(PARTITIONS)}
    for partition, block in shuffle.blocks(FETCH, searches(60, chars=9), PARTITIONS):
        found = tables(block)
        known[partition].update(found.products["product"])
        assert known[partition].issuperset(found.facts["other"])
        assert set(found.facts["head"]) - {TOTALS_HEAD} == set(found.heads["head"])


def united(combined: Combined) -> list[pl.DataFrame]:
    """Facts, heads and products of all blocks, with their partitions."""
    made = [(partition, tables(block)) for partition, block in shuffle.blocks(FETCH, combined, PARTITIONS)]
    return [
        pl.concat([getattr(found, name).with_columns(partition=partition) for partition, found in made])
        .unique()
        .sort(pl.all())
        for name in ("facts", "heads", "products")
    ]
