"""A record of pair-counts as tables: what of it may be taken into the state, and what must not.

The state moves forward only. Its horizon hangs from its newest day, so one fact of a day that has not come, from a host
whose clock is wrong, would expire everything that it knows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl

from schemas.records import PairCounts
from streams.blocks import FACTS, HEADS, LABELS, LAYOUT, PRODUCTS, FactAction, NotABlock, from_ipc
from streams.ingest.facts import DAY_MS, Tables
from streams.state.tables import folded, in_order

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Taken:
    """``ahead`` says what is not in the tables, or not as of its own day, as that has not come; empty mostly."""

    tables: Tables
    ahead: str = ""


def tables_of(block: PairCounts, now: datetime) -> Taken:
    """Facts and products of tomorrow, by ``now``, are taken: clocks differ, and days begin at different times. So is
    the product of every fact that is taken. Raises NotABlock for what no ingest writes."""
    if block.layout != LAYOUT:
        raise NotABlock(f"layout {block.layout}, expected {LAYOUT}")
    facts, products = _read("facts", block.facts, FACTS), _read("products", block.products, PRODUCTS)
    _possible(facts)
    tomorrow = (now - _EPOCH).days + 1
    timely, known = pl.col("bucket") <= tomorrow, pl.col("event_time") < (tomorrow + 1) * DAY_MS
    tables = Tables(
        facts=facts.filter(timely), heads=_read("heads", block.heads, HEADS), products=products.filter(known)
    )
    left_out = facts.height - tables.facts.height, products.height - tables.products.height
    if not any(left_out):
        return Taken(tables)
    ahead = f"{left_out[0]} facts and {left_out[1]} products are of days after {_day(tomorrow)}"
    late = products.filter(~known)
    # A block without facts holds products of the facts in the blocks after it (`streams.ingest.shuffle`).
    named = tables.facts.select("bucket", product="other") if facts.height else late.select("product", bucket=tomorrow)
    return Taken(replace(tables, products=_with_needed(tables.products, late, named)), ahead)


def _with_needed(products: pl.DataFrame, ahead: pl.DataFrame, named: pl.DataFrame) -> pl.DataFrame:
    """The products, and of those ``ahead`` the ones that are ``named`` by facts (bucket, product) and not among them.

    A block holds of a product what is newest alone, so leaving that out would leave facts of which nobody knows what
    they are about. It is taken as if of the last day of these facts. When its own day has come and the record is
    replayed, the same row of that day takes its place.
    """
    unknown = folded(in_order(ahead.join(products, on="product", how="anti")))
    needed = unknown.join(named.group_by("product").agg(pl.col("bucket").max()), on="product")
    of_that_day = (pl.col("bucket").cast(pl.Int64) + 1) * DAY_MS - 1
    return pl.concat([products, needed.with_columns(event_time=of_that_day).select(list(PRODUCTS))])


def _read(name: str, data: bytes, schema: pl.Schema) -> pl.DataFrame:
    frame = from_ipc(data, schema)
    if nulls := [column.name for column in frame if column.name not in LABELS and column.null_count()]:
        raise NotABlock(f"{name} without {', '.join(nulls)}")
    return frame


def _possible(facts: pl.DataFrame) -> None:
    """What does not fit its place in a key would become another fact (`streams.state.keys`)."""
    known = pl.col("action").is_between(min(FactAction), max(FactAction))
    if not facts.filter(~known | (pl.col("bucket") < 0)).is_empty():
        raise NotABlock("facts of an unknown action or of a day before 1970")


def _day(bucket: int) -> str:
    return f"{datetime.fromtimestamp(bucket * DAY_MS / 1000, UTC):%Y-%m-%d}"
