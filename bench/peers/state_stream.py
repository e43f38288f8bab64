"""Blocks of facts for the state's benchmark: first every pair once, then a skewed stream over them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from streams.blocks import FACTS, HEADS, PRODUCTS
from streams.ingest.facts import DAY_MS, Tables
from streams.state.keys import pair_keys

DAY = 20_000
PAIRS_A_HEAD = 20
PRODUCTS_SOLD = 50_000
BLOCK = 20_000
"""Facts in one block: what a busy ingest sends to a partition at once."""

Words = npt.NDArray[np.uint64]


def every_pair(pairs: int, block: int = 250_000) -> Iterator[Tables]:
    """Each pair once: one session that saw it."""
    for first in range(0, pairs, block):
        numbers = np.arange(first, min(pairs, first + block), dtype=np.uint64)
        yield tables(numbers, np.ones(len(numbers), dtype=np.uint8), mixed(numbers))


def skewed(pairs: int, blocks: int, seed: int = 1) -> Iterator[Tables]:
    """Half of the facts fall on any pair, half on few (the hottest hundredth has 32 % of them), over five days."""
    random = np.random.default_rng(seed)
    for number in range(blocks):
        hot = random.random(BLOCK) < 0.5
        place = np.where(hot, random.random(BLOCK) ** 4, random.random(BLOCK)) * pairs
        actions = random.choice(np.array([1, 1, 1, 1, 2, 2, 3, 4], dtype=np.uint8), BLOCK)
        yield tables(place.astype(np.uint64), actions, mixed(random.integers(0, 2**62, BLOCK)), number * 5 // blocks)


def tables(numbers: Words, actions: npt.NDArray[np.uint8], sessions: Words, day: int = 0) -> Tables:
    """A block as the sampler gets it, heads and products included."""
    heads, others = numbers // PAIRS_A_HEAD, (numbers * 7) % PRODUCTS_SOLD
    columns = [mixed(heads + 10**9), mixed(others + 2 * 10**9), np.full(len(numbers), DAY + day), actions, sessions]
    facts = pl.DataFrame(dict(zip(FACTS, columns, strict=True)), schema=FACTS)
    return Tables(facts=facts, heads=_heads(np.unique(heads)), products=_products(np.unique(others), day))


def mixed(numbers: npt.NDArray[np.integer]) -> Words:
    """Numbers spread over 64 bits as hashes are (splitmix64)."""
    x = numbers.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))


def packed(tables: Tables) -> tuple[list[bytes], list[bytes]]:
    """For each fact: its pair with action, and that with session and day."""
    facts = tables.facts
    columns = np.zeros(facts.height, dtype=[("pair", ">u8"), ("action", "u1"), ("session", ">u8"), ("bucket", ">u2")])
    columns["pair"] = pair_keys(facts["head"], facts["other"]).to_numpy()
    for name in ("action", "session", "bucket"):
        columns[name] = facts[name].to_numpy()
    data = columns.tobytes()
    width = columns.dtype.itemsize
    keys = [data[at : at + width] for at in range(0, len(data), width)]
    return [key[:9] for key in keys], keys


def _heads(heads: Words) -> pl.DataFrame:
    numbers = pl.DataFrame({"number": heads})
    return numbers.select(
        head=pl.Series(mixed(heads + 10**9)), kind=pl.lit(1, pl.UInt8), text=pl.format("query {} words", "number")
    ).cast(HEADS)


def _products(products: Words, day: int) -> pl.DataFrame:
    numbers = pl.DataFrame({"number": products})
    return numbers.select(
        product=pl.Series(mixed(products + 2 * 10**9)),
        event_time=pl.lit((DAY + day) * DAY_MS),
        product_id=pl.format("P{}", "number"),
        title=pl.format("Product {} of a shop, with a title", "number"),
        product_type=pl.format("type {}", pl.col("number") % 500),
        category=pl.format("category {}", pl.col("number") % 20),
    ).cast(PRODUCTS)
