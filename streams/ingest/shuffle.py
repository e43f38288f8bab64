"""The shuffle between ingest and sample: a fetch's tables cut by the partition of the head and packed into blocks.

One record per target partition and fetch, so that a hot query cannot overload a partition with messages and Kafka
moves blocks, not crumbs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from schemas.records import PairCounts
from streams.blocks import LAYOUT, to_ipc
from streams.fetch.handler import Fetch
from streams.ingest.facts import Combined, Tables

MAX_FACTS = 250_000
"""Facts in one block, 29 bytes each. With texts and products of `MAX_TEXT_BYTES` at most, a block stays below the 16 MB
that the topic accepts, also when nothing in it compresses. More goes into further blocks."""
MAX_TEXT_BYTES = 3 * 1024 * 1024
"""Bytes of heads in one block, and as many of products. A fetch that compressed well may hold a hundred times that."""
_ROW_BYTES = 64
"""Of a row beside its texts, more or less."""


def blocks(fetch: Fetch, combined: Combined, partitions: int) -> Iterator[tuple[int, PairCounts]]:
    """(target partition, block), without blocks that would be empty."""
    for partition, mine in enumerate(combined.cut(partitions)):
        for tables in _parts(mine):
            yield partition, _block(fetch, tables)


def _parts(mine: Tables) -> Iterator[Tables]:
    """Tables small enough for a block each. Products come before the facts that are judged by their types, or with
    them, and the text of a head with its facts."""
    if mine.facts.is_empty():
        return
    *early, products = _slices(mine.products)
    for some in early:
        yield Tables(facts=mine.facts.clear(), heads=mine.heads.clear(), products=some)
    for number, (facts, heads) in enumerate(_facts_with_heads(mine)):
        yield Tables(facts=facts, heads=heads, products=products if number == 0 else products.clear())


def _facts_with_heads(mine: Tables) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    parts = _slices(mine.heads)
    for number, heads in enumerate(parts):
        theirs = mine.facts
        if len(parts) > 1:  # with the first go the stream's totals too, whose head has no text
            others = pl.concat(parts[1:]) if number == 0 else heads
            theirs = mine.facts.join(others, on="head", how="anti" if number == 0 else "semi")
        for facts in theirs.iter_slices(MAX_FACTS):
            whole = facts.height == theirs.height
            yield facts, heads if whole else heads.join(facts.select("head"), on="head", how="semi")


def _slices(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """The rows in slices of `MAX_TEXT_BYTES` or a row more; one, though it be empty, at least."""
    sizes = [pl.col(name).str.len_bytes().fill_null(0) for name, kind in rows.schema.items() if kind == pl.String]
    number = rows.select(number=pl.sum_horizontal(_ROW_BYTES, *sizes).cum_sum() // MAX_TEXT_BYTES)["number"]
    starts = np.flatnonzero(np.diff(number.to_numpy(), prepend=0)).tolist()
    return [rows[start:end] for start, end in zip([0, *starts], [*starts, rows.height], strict=True)]


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
