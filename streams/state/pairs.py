"""The index of pairs: a summary of each, kept by head and up to date whenever it is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from streams.blocks import FACTS, TOTALS_HEAD, FactAction
from streams.state.facts import FactSet
from streams.state.increment import Before, Mask, increment, superfluous
from streams.state.keys import SESSION_SHIFT, high_half, low_half, pack, pair_keys, range_of, unpack
from streams.state.runs import SortedRuns
from streams.state.skyband import newest_of_sessions
from streams.state.summary import COUNTED, STORED, SUMMARY, rows_of, summarize
from streams.state.tables import keyed, last_added, unkeyed

MAX_PENDING = 50_000
"""Pairs noted before they are summarized without being read, so that memory stays bounded."""

_NO_PAIRS = pl.DataFrame(schema={"pair": pl.UInt128})


@dataclass(frozen=True, slots=True)
class Added:
    """What a block has changed: the facts of which something was learned, and heads of pairs with expired facts."""

    facts: pl.DataFrame
    expired_heads: pl.Series


class PairIndex:
    """Summaries of the pairs of a `FactSet`. Facts are added through it, so that both stay in step."""

    def __init__(self, facts: FactSet) -> None:
        self._facts = facts
        self._runs = SortedRuns("pair", STORED, last_added("pair", self._alive))
        self._pending = _NO_PAIRS
        self._expired_to = -1

    def add(self, facts: pl.DataFrame) -> Added:
        """Add rows of `FACTS` to the set.

        Most pairs get their summary from the one before and the block. The others are only noted, and summarized from
        all their facts when a summary is next read, once for however many blocks.
        """
        self._facts.advance(facts)
        expired = self._expire()  # before anything is merged, which would drop what is outside the horizon
        news = self._news(facts)
        pairs = news.select("head", "other", pair_keys(news["head"], news["other"])).unique("pair").sort("pair")
        old = keyed(pairs.select("head", "other")).join(self._at(pairs), on="pair", how="left", maintain_order="left")
        before, rows, k = Before.of(old), rows_of(news, pairs["pair"].to_numpy()), self._facts.sessions_kept
        needed = ~superfluous(before, rows, k)
        news, rows = news.filter(pl.Series(needed)), rows.where(needed)
        odd = news.select((pl.col("seen") >= 0) | (pl.col("action") == FactAction.VOUCHER)).to_series().to_numpy()
        sums, fits = increment(before, rows, odd, k, self._facts.oldest_alive)
        self._facts.add(news.select("fact"))
        changed = np.isin(np.arange(pairs.height), rows.pair)
        self._update(old.with_columns(sums), changed, fits)
        return Added(news.select(list(FACTS)), expired)

    def _update(self, summaries: pl.DataFrame, changed: Mask, fits: Mask) -> None:
        """Keep the summaries that fit; of the others, and of those that wait already, note only the pair."""
        current = summaries.filter(pl.Series(changed & fits)).join(self._pending, on="pair", how="anti")
        self._runs.add(current.with_columns(pl.col("voucher_bucket").fill_null(-1)).select(list(STORED)))
        self._note(summaries.filter(pl.Series(changed & ~fits)).select("pair"))

    def _at(self, pairs: pl.DataFrame) -> pl.DataFrame:
        return self._runs.at(keyed(pairs.select("head", "other"))["pair"])

    def _news(self, facts: pl.DataFrame) -> pl.DataFrame:
        """Of `FACTS` those that are not known, with ``fact`` and ``seen`` (see `FactSet.last_seen`), sorted by fact."""
        rows = facts.hstack(pack(facts)).sort("fact")
        rows = newest_of_sessions(rows.filter(pl.col("bucket") >= self._facts.oldest_alive))
        return rows.with_columns(self._facts.last_seen(rows.select("fact"))).filter(pl.col("bucket") > pl.col("seen"))

    def _note(self, pairs: pl.DataFrame) -> None:
        if pairs.height:
            self._pending = pl.concat([self._pending, pairs]).unique()
        if self._pending.height > MAX_PENDING:
            self.settle()

    def _expire(self) -> pl.Series:
        """Note the pairs that the horizon has left behind since the last call; returns their heads, perhaps twice."""
        if self._facts.watermark == self._expired_to:
            return _NO_PAIRS.select(head=high_half("pair"))["head"]
        self._expired_to = self._facts.watermark
        old = self._runs.where(pl.col("first_bucket") < self._facts.oldest_alive).select("pair").unique()
        self._note(old)
        return old.select(head=high_half("pair"))["head"]

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
        if self._pending.is_empty():
            return
        pairs, self._pending = unkeyed(self._pending), _NO_PAIRS
        pairs = pairs.with_columns(pair_keys(pairs["head"], pairs["other"])).sort("pair")
        summaries = summarize(self._facts.of_pairs(pairs["pair"]), pairs["pair"].to_numpy(), self._facts.sessions_kept)
        self._runs.add(keyed(pairs.select("head", "other")).hstack(summaries))

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
