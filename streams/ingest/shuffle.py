"""The shuffle between ingest and sample: a fetch's tables cut by the partition of the head and packed into blocks.

One record per target partition and fetch, so that a hot query cannot overload a partition with messages and Kafka
moves blocks, not crumbs.
"""

from __future__ import annotations

from collections.abc import Iterator

from schemas.records import PairCounts
from streams.blocks import LAYOUT, to_ipc
from streams.fetch.handler import Fetch
from streams.ingest.facts import Combined, Tables

MAX_FACTS = 400_000
"""Facts in one block; about 8 MB before compression, so that with the worst of compression a block stays below the
16 MB that the topic accepts. More facts go into further blocks."""


def blocks(fetch: Fetch, combined: Combined, partitions: int) -> Iterator[tuple[int, PairCounts]]:
    """(target partition, block), without blocks that would be empty. Products come with a partition's first block."""
    for partition, mine in enumerate(combined.cut(partitions)):
        for number, facts in enumerate(mine.facts.iter_slices(MAX_FACTS)):
            whole = facts.height == mine.facts.height
            heads = mine.heads if whole else mine.heads.join(facts.select("head"), on="head", how="semi")
            products = mine.products if number == 0 else mine.products.clear()
            yield partition, _block(fetch, Tables(facts=facts, heads=heads, products=products))


def _block(fetch: Fetch, tables: Tables) -> PairCounts:
    return PairCounts(
        source_topic=fetch.topic,
        source_partition=fetch.partition,
        first_offset=fetch.first_offset,
        last_offset=fetch.last_offset,
        layout=LAYOUT,
        facts=to_ipc(tables.facts),
        heads=to_ipc(tables.heads),
        products=to_ipc(tables.products),
    )
