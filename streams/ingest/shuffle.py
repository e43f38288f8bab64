"""The shuffle between ingest and sample: a fetch's tables cut by the partition of the head and packed into blocks.

One record per target partition and fetch, so that a hot query cannot overload a partition with messages and Kafka
moves blocks, not crumbs.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from schemas.records import PairCounts
from streams.blocks import LAYOUT, TOTALS_HEAD, to_ipc
from streams.fetch.handler import Fetch
from streams.ingest.facts import Tables

MAX_FACTS = 400_000
"""Facts in one block; about 8 MB before compression, so that with the worst of compression a block stays below the
16 MB that the topic accepts. More facts go into further blocks."""


def blocks(fetch: Fetch, tables: Tables, partitions: int) -> Iterator[tuple[int, PairCounts]]:
    """(target partition, block), without blocks that would be empty. A head's partition is its hash modulo
    ``partitions``; the stream's totals go to all."""
    target = pl.col("head") % partitions
    for partition in range(partitions):
        mine = tables.facts.filter((target == partition) | (pl.col("head") == TOTALS_HEAD))
        for part in mine.iter_slices(MAX_FACTS):
            yield partition, _block(fetch, part, tables)


def _block(fetch: Fetch, facts: pl.DataFrame, tables: Tables) -> PairCounts:
    heads = tables.heads.join(facts.select("head").unique(), on="head", how="semi")
    named = pl.concat([facts["other"], facts["head"]]).unique().alias("product").to_frame()
    products = tables.products.join(named, on="product", how="semi")
    return PairCounts(
        source_topic=fetch.topic,
        source_partition=fetch.partition,
        first_offset=fetch.first_offset,
        last_offset=fetch.last_offset,
        layout=LAYOUT,
        facts=to_ipc(facts),
        heads=to_ipc(heads),
        products=to_ipc(products),
    )
