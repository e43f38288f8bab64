"""The index of pairs: a summary of each, kept by head, brought up to date when it is read.

Touching a pair only notes it. So several blocks between two readings cost one summary of each pair that they touched.
"""

from __future__ import annotations

import polars as pl

from streams.blocks import FACTS, TOTALS_HEAD
from streams.state.facts import FactSet
from streams.state.keys import SESSION_SHIFT, high_half, low_half, pair_keys, range_of, unpack, wide_series
from streams.state.runs import SortedRuns
from streams.state.summary import COUNTED, STORED, SUMMARY, summarize
from streams.state.tables import last_added, unkeyed

MAX_PENDING = 200_000
"""Touched pairs noted before they are summarized without being read, so that memory stays bounded."""


class PairIndex:
    """Summaries of the pairs of a `FactSet`, which whoever adds facts to it must `touch`."""

    def __init__(self, facts: FactSet) -> None:
        self._facts = facts
        self._runs = SortedRuns("pair", STORED, last_added("pair", self._alive))
        self._pending: list[pl.DataFrame] = []
        self._pending_rows = 0
        self._expired_to = -1

    def touch(self, pairs: pl.DataFrame) -> None:
        """Facts of these pairs (columns head, other) were added, or fell out of the horizon."""
        distinct = pairs.select("head", "other").unique()
        self._pending.append(distinct)
        self._pending_rows += distinct.height
        if self._pending_rows > MAX_PENDING:
            self.settle()

    def expire(self) -> pl.Series:
        """Touch the pairs that the horizon has left behind since the last call; returns their heads, perhaps twice."""
        if self._facts.watermark == self._expired_to:
            return pl.Series("head", [], dtype=pl.UInt64)
        self._expired_to = self._facts.watermark
        old = unkeyed(self._runs.where(pl.col("first_bucket") < self._facts.oldest_alive))
        self.touch(old)
        return old["head"]

    def heads_with(self, others: pl.Series) -> pl.Series:
        """Heads of the pairs whose other is one of these products. Looks at every pair: for rare occasions."""
        if others.is_empty():
            return pl.Series("head", [], dtype=pl.UInt64)
        self.settle()
        return unkeyed(self._runs.where(low_half("pair").is_in(others.implode())))["head"].unique()

    def of_heads(self, heads: pl.Series) -> pl.DataFrame:
        """`SUMMARY` of all pairs of these distinct heads, sorted by head, then other."""
        self.settle()
        found = self._runs.between(*range_of(heads))
        today = pl.col("last_bucket") == self._facts.watermark
        current = found.with_columns(
            pl.when(today).then(pl.col(f"today_{name}")).otherwise(0).alias(f"today_{name}") for name in COUNTED
        )
        return unkeyed(current).select(pl.col(name).cast(dtype) for name, dtype in SUMMARY.items())

    def heads(self) -> pl.Series:
        """Every head of a pair with shoppers' facts within the horizon, distinct and sorted; not that of the totals."""
        self.settle()
        alive = self._runs.all().filter(pl.col("last_bucket") >= self._facts.oldest_alive)
        heads = alive.select(head=high_half("pair"))["head"].unique().sort()
        return heads.filter(heads != TOTALS_HEAD)

    def keys(self) -> pl.Series:
        """head‖other of every pair within the horizon, sorted."""
        self.settle()
        return self._runs.all()["pair"]

    def named(self, facts: pl.DataFrame) -> pl.DataFrame:
        """Rows of `FACTS` of packed ones (`FACT_KEYS`); without those of pairs that are not in the index."""
        both = unkeyed(self.keys().to_frame())
        both = both.with_columns(pair_keys(both["head"], both["other"]))
        rows = unpack(facts).join(both, on="pair").with_columns(pl.col("session") * (1 << SESSION_SHIFT))
        return rows.select(list(FACTS))

    def settle(self) -> None:
        """Summarize what was touched."""
        if not self._pending:
            return
        pairs = pl.concat(self._pending).unique()
        self._pending, self._pending_rows = [], 0
        pairs = pairs.with_columns(pair_keys(pairs["head"], pairs["other"])).sort("pair")
        facts = self._facts.of_pairs(pairs["pair"])
        summaries = summarize(facts, pairs["pair"].to_numpy(), self._facts.sessions_kept)
        self._runs.add(summaries.insert_column(0, wide_series(pairs["head"], pairs["other"]).alias("pair")))

    def drop_expired(self) -> None:
        """Give back the memory of pairs outside the horizon."""
        self._runs.normalize()

    @property
    def rows(self) -> int:
        return self._runs.rows

    @property
    def bytes(self) -> int:
        return self._runs.bytes

    def _alive(self) -> pl.Expr:
        return pl.max_horizontal("last_bucket", "voucher_bucket") >= self._facts.oldest_alive
