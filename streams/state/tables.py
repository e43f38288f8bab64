"""The tables beside the facts: texts of heads, what is known of products, what has been asked. Each is a map from key
to row in which the greater row wins, so that adding rows again or in another order changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from streams.blocks import HEADS, PRODUCTS
from streams.state.keys import high_half, low_half, wide
from streams.state.runs import Reduce, SortedRuns

ASKED = pl.Schema({"head": pl.UInt64, "other": pl.UInt64, "asked_ms": pl.Int64, "level": pl.UInt8, "reason": pl.UInt8})
"""When a pair was last released (milliseconds since 1970), at which power-of-two level of support, and why (a code of
the sampler's). The newest wins, then the greatest level, then the greatest reason."""


def heads_table() -> SortedRuns:
    """`HEADS` by head."""
    return SortedRuns("head", HEADS, greatest("head", ("kind", "text")))


def products_table() -> SortedRuns:
    """`PRODUCTS` by product; the newest row wins, as in `streams.ingest.facts.newest`."""
    return SortedRuns("product", PRODUCTS, greatest("product", [name for name in PRODUCTS if name != "product"]))


def asked_table() -> SortedRuns:
    """`ASKED` by pair, head‖other in one column."""
    schema = pl.Schema({"pair": pl.UInt128(), **{name: ASKED[name] for name in ("asked_ms", "level", "reason")}})
    return SortedRuns("pair", schema, greatest("pair", ("asked_ms", "level", "reason")))


def newer(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Rows of `PRODUCTS` that are not among the known ones, nor older than the one known of their product."""
    when = known.select("product", known_time="event_time")
    news = rows.join(when, on="product", how="left").filter(
        pl.col("event_time") >= pl.col("known_time").fill_null(-(2**62))
    )
    return news.select(list(PRODUCTS)).join(known, on=list(PRODUCTS), how="anti", nulls_equal=True)


def owning_texts(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows with texts of their own. A text that came in a block is a view into it, and keeps all of the block
    in memory for as long as it is there itself."""
    return rows.with_columns(pl.selectors.string() + "")


def keyed(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with head and other, with both in one column ``pair`` in front instead."""
    return rows.select(wide(pl.col("head"), pl.col("other")).alias("pair"), pl.exclude("head", "other"))


def unkeyed(rows: pl.DataFrame) -> pl.DataFrame:
    """What `keyed` was made of."""
    return rows.select(high_half("pair").alias("head"), low_half("pair").alias("other"), pl.exclude("pair"))


def greatest(key: str, order: Sequence[str]) -> Reduce:
    """Reduce to one row a key, the greatest by ``order``; null is smallest."""

    def reduce(rows: pl.DataFrame) -> pl.DataFrame:
        column = pl.col(key)
        twice = ((column == column.shift(1)) | (column == column.shift(-1))).fill_null(False)
        rivals = rows.filter(twice)
        if rivals.is_empty():
            return rows
        best = rivals.sort([key, *order], nulls_last=False).filter(_last_of(key))
        return pl.concat([rows.filter(~twice), best]).sort(key)

    return reduce


def last_added(key: str, alive: Callable[[], pl.Expr]) -> Reduce:
    """Reduce to one row a key, the one added last, where it is ``alive``."""
    return lambda rows: rows.filter(_last_of(key) & alive())


def _last_of(key: str) -> pl.Expr:
    column = pl.col(key)
    return (column != column.shift(-1)).fill_null(True)
