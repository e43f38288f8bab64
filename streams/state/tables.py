"""The tables beside the facts: texts of heads, what is known of products, what has been asked. Each is a map from key
to row in which the greater row wins, so that adding rows again or in another order changes nothing. Of products such a
map for each label: unknown is no value that could win."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from streams.blocks import HEADS, LABELS, PRODUCTS
from streams.state.keys import high_half, low_half, wide
from streams.state.runs import Reduce, SortedRuns

ASKED = pl.Schema({"head": pl.UInt64, "other": pl.UInt64, "asked_ms": pl.Int64, "level": pl.UInt8, "reason": pl.UInt8})
"""When a pair was last released (milliseconds since 1970), at which power-of-two level of support, and why (a code of
the sampler's). The newest wins, then the greatest level, then the greatest reason."""


def heads_table() -> SortedRuns:
    """`HEADS` by head."""
    return SortedRuns("head", HEADS, greatest("head", ("kind", "text")))


def products_table() -> SortedRuns:
    """`PRODUCTS` by product, the rows that `streams.ingest.facts.newest` keeps, sorted; `folded` makes one of them."""
    order = [name for name in PRODUCTS if name != "product"]
    return SortedRuns("product", PRODUCTS, greatest("product", order, LABELS))


def asked_table() -> SortedRuns:
    """`ASKED` by pair, head‖other in one column."""
    schema = pl.Schema({"pair": pl.UInt128(), **{name: ASKED[name] for name in ("asked_ms", "level", "reason")}})
    return SortedRuns("pair", schema, greatest("pair", ("asked_ms", "level", "reason")))


def newer(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Rows of `PRODUCTS` that are not among the known ones, nor older than those in all that they know."""
    lacking = [label for label in LABELS if known[label].null_count()]
    times = {f"known_{label}": pl.when(pl.col(label).is_not_null()).then("event_time") for label in lacking}
    when = known.select("product", known_time="event_time", **times)
    if lacking:  # else there is one row a product
        when = when.group_by("product").max()

    def as_new(time: str) -> pl.Expr:
        return pl.col("event_time") >= pl.col(time).fill_null(-(2**62))

    says_news = [pl.col(label).is_not_null() & as_new(f"known_{label}") for label in lacking]
    news = rows.join(when, on="product", how="left").filter(pl.any_horizontal(as_new("known_time"), *says_news))
    return news.select(list(PRODUCTS)).join(known, on=list(PRODUCTS), how="anti", nulls_equal=True)


def in_order(products: pl.DataFrame) -> pl.DataFrame:
    """The rows as the table has them."""
    return products.sort(list(PRODUCTS), nulls_last=False)


def folded(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a product, sorted: each label from the greatest row that knows it. ``rows``: as the table has them."""
    if not any(rows[label].null_count() for label in LABELS):  # then there is one row a product
        return rows
    product = pl.col("product")
    twice = ((product == product.shift(1)) | (product == product.shift(-1))).fill_null(False)
    whole = rows.filter(twice).with_columns(pl.col(LABELS).forward_fill().over("product")).filter(_last_of("product"))
    return pl.concat([rows.filter(~twice), whole]).sort("product")


def type_of(suffix: str = "") -> pl.Expr:
    """What the rules go by as a product's type, from columns of `PRODUCTS` that end so; null where neither is known."""
    return pl.coalesce(f"product_type{suffix}", f"category{suffix}")


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


def greatest(key: str, order: Sequence[str], labels: Sequence[str] = ()) -> Reduce:
    """Reduce to one row a key, the greatest by ``order``, and of each of ``labels`` the greatest in which it is known;
    null is smallest. A key's rows are sorted by ``order``."""

    def reduce(rows: pl.DataFrame) -> pl.DataFrame:
        column = pl.col(key)
        twice = ((column == column.shift(1)) | (column == column.shift(-1))).fill_null(False)
        rivals = rows.filter(twice)
        if rivals.is_empty():
            return rows
        best = _best(rivals.sort([key, *order], nulls_last=False), key, labels)
        return pl.concat([rows.filter(~twice), best]).sort(key, maintain_order=True)

    return reduce


def _best(rivals: pl.DataFrame, key: str, labels: Sequence[str]) -> pl.DataFrame:
    lacking = [label for label in labels if rivals[label].null_count()]
    if not lacking:
        return rivals.filter(_last_of(key))
    numbered = rivals.select(key, *lacking).with_row_index("number")
    knowing = [numbered, *(numbered.filter(pl.col(label).is_not_null()) for label in lacking)]
    last = pl.concat([rows.filter(_last_of(key))["number"] for rows in knowing])
    return rivals[last.unique().sort()]


def last_added(key: str, alive: Callable[[], pl.Expr]) -> Reduce:
    """Reduce to one row a key, the one added last, where it is ``alive``."""
    return lambda rows: rows.filter(_last_of(key) & alive())


def _last_of(key: str) -> pl.Expr:
    column = pl.col(key)
    return (column != column.shift(-1)).fill_null(True)
