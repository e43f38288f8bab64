"""A partition's state that counts everything anew at every question: slow, and plainly right."""

from __future__ import annotations

import polars as pl

from streams.blocks import FACTS, HEADS, PRODUCTS, TOTALS_HEAD, FactAction
from streams.ingest.facts import Tables, newest
from streams.state.keys import SESSION_BITS

ASKED = pl.Schema({"head": pl.UInt64, "other": pl.UInt64, "level": pl.UInt8, "asked_ms": pl.Int64})

_COUNTED = {
    "impressions": FactAction.IMPRESSION,
    "clicks": FactAction.CLICK,
    "carts": FactAction.ADD_TO_CART,
    "purchases": FactAction.PURCHASE,
    "co_purchases": FactAction.CO_PURCHASE,
}


class NaiveState:
    """Answers as `streams.state.partition.PartitionState` does, by counting."""

    def __init__(self) -> None:
        self.facts, self._heads, self._products = FACTS.to_frame(), HEADS.to_frame(), PRODUCTS.to_frame()
        self._asked = ASKED.to_frame()

    def add(self, tables: Tables) -> pl.Series:
        self.facts = pl.concat([self.facts, tables.facts]).unique()
        self._heads = pl.concat([self._heads, tables.heads]).unique("head")
        self._products = newest(pl.concat([self._products, tables.products]))
        return tables.facts["head"].unique()

    def heads(self) -> pl.Series:
        return self._heads["head"]

    def pairs_of(self, heads: pl.Series) -> pl.DataFrame:
        mine = self.facts.filter(pl.col("head").is_in(heads.implode()))
        today = pl.col("bucket") == self.watermark
        session = pl.col("session")
        counts = {
            name: session.filter(pl.col("action") == action).n_unique().cast(pl.Int64) for name, action in _COUNTED.items()
        }
        todays = {
            f"today_{name}": session.filter((pl.col("action") == action) & today).n_unique().cast(pl.Int64)
            for name, action in _COUNTED.items()
        }
        vouchers = mine.filter(pl.col("action") == FactAction.VOUCHER).sort("bucket", "session", descending=[True, False])
        packed = vouchers.group_by("head", "other", maintain_order=True).agg(
            voucher=pl.col("session").first() // 2 ** (64 - SESSION_BITS)
        )
        real = mine.filter(pl.col("action") != FactAction.VOUCHER)
        summed = real.group_by("head", "other").agg(**counts, **todays, first_bucket=pl.col("bucket").min(), last_bucket=pl.col("bucket").max())
        return summed.join(packed, on=["head", "other"], how="left")

    def texts(self, heads: pl.Series) -> pl.DataFrame:
        return self._heads.filter(pl.col("head").is_in(heads.implode()))

    def products(self, hashes: pl.Series) -> pl.DataFrame:
        return self._products.filter(pl.col("product").is_in(hashes.implode()))

    def asked(self, pairs: pl.DataFrame) -> pl.DataFrame:
        return self._asked.join(pairs, on=["head", "other"], how="semi")

    def ask(self, rows: pl.DataFrame) -> None:
        self._asked = pl.concat([self._asked, rows.select(list(ASKED))]).sort("asked_ms", "level")
        self._asked = self._asked.unique(["head", "other"], keep="last")

    @property
    def watermark(self) -> int:
        newest_bucket = self.facts["bucket"].max()
        return newest_bucket if isinstance(newest_bucket, int) else -1

    @property
    def days_before(self) -> int:
        oldest = self.facts["bucket"].min()
        return self.watermark - oldest if isinstance(oldest, int) else 0

    def totals(self) -> int:
        return self.facts.filter(pl.col("head") == TOTALS_HEAD)["session"].n_unique()
