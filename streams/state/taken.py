"""A record of pair-counts as tables: what of it may be taken into the state, and what must not.

The state moves forward only. Its horizon hangs from its newest day, so one fact of a day that has not come, from a host
whose clock is wrong, would expire everything that it knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from schemas.records import PairCounts
from streams.blocks import FACTS, HEADS, LAYOUT, PRODUCTS, FactAction, NotABlock, from_ipc
from streams.ingest.facts import DAY_MS, Tables

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAY_BE_NULL = frozenset({"title", "product_type", "category"})


@dataclass(frozen=True, slots=True)
class Taken:
    """``ahead`` says what was left out of the tables as its day has not come; empty mostly."""

    tables: Tables
    ahead: str = ""


def tables_of(block: PairCounts, now: datetime) -> Taken:
    """Facts and products of tomorrow, by ``now``, are taken: clocks differ, and days begin at different times. Raises
    NotABlock for what no ingest writes."""
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
    return Taken(tables, f"{left_out[0]} facts and {left_out[1]} products are of days after {_day(tomorrow)}")


def _read(name: str, data: bytes, schema: pl.Schema) -> pl.DataFrame:
    frame = from_ipc(data, schema)
    if nulls := [column.name for column in frame if column.name not in _MAY_BE_NULL and column.null_count()]:
        raise NotABlock(f"{name} without {', '.join(nulls)}")
    return frame


def _possible(facts: pl.DataFrame) -> None:
    """What does not fit its place in a key would become another fact (`streams.state.keys`)."""
    known = pl.col("action").is_between(min(FactAction), max(FactAction))
    if not facts.filter(~known | (pl.col("bucket") < 0)).is_empty():
        raise NotABlock("facts of an unknown action or of a day before 1970")


def _day(bucket: int) -> str:
    return f"{datetime.fromtimestamp(bucket * DAY_MS / 1000, UTC):%Y-%m-%d}"
