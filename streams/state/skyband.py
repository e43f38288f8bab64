"""Which sessions of a pair are kept: for every period that ends today, its k smallest.

A session is kept while fewer than k sessions with smaller hashes have been seen on the same day or later (the
k-skyband of hash and day). So the k smallest of "the last 30 days" are there, and those of any shorter period; when
the oldest day falls out of the horizon, the rest is exactly what it would be had that day never been. Both "newest day
of each session" and "skyband" commute with union: what was dropped here would be dropped there. A group holds about
k · (1 + ln(days)) rows at most, where k smallest for each day would be k · days.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from streams.state.keys import bucket_of, group_of, session_of_pair


def newest_of_sessions(facts: pl.DataFrame) -> pl.DataFrame:
    """One row a pair, action and session, with its newest bucket. ``facts``: `FACT_KEYS`, sorted."""
    session = session_of_pair(pl.col("fact"))
    return facts.filter((session != session.shift(-1)).fill_null(True))


def skyband(facts: pl.DataFrame, k: int) -> pl.DataFrame:
    """What is kept of ``facts``: `FACT_KEYS`, sorted, one row a session."""
    group = group_of(pl.col("fact"))
    beyond = facts.select((group == group.shift(k)).fill_null(False).alias("beyond"))["beyond"]
    if not beyond.any():
        return facts
    rows = facts.select(group=group.rle_id(), bucket=bucket_of(pl.col("fact"))).with_columns(beyond)
    groups = rows["group"].to_numpy()
    crowded = np.isin(groups, rows.filter("beyond")["group"].unique().to_numpy())
    kept = np.ones(facts.height, dtype=np.bool_)
    kept[crowded] = _kept(groups[crowded], rows["bucket"].to_numpy()[crowded], beyond.to_numpy()[crowded], k)
    return facts.filter(pl.Series(kept))


def _kept(
    groups: npt.NDArray[np.uint32], buckets: npt.NDArray[np.int32], beyond: npt.NDArray[np.bool_], k: int
) -> npt.NDArray[np.bool_]:
    """Rows sorted by group, then session. One pass for each day that has a row beyond the k-th of its group."""
    starts = np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1])))
    lengths = np.diff(np.append(starts, len(groups)))
    kept = ~beyond
    for bucket in np.unique(buckets[beyond]):
        as_recent = buckets >= bucket
        before = np.cumsum(as_recent) - as_recent
        smaller = before - np.repeat(before[starts], lengths)
        kept |= (buckets == bucket) & (smaller < k)
    return kept
