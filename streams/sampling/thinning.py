"""How many pairs of a kind are enough."""

from __future__ import annotations

import polars as pl


def thinned(frame: pl.DataFrame, group: list[str], keep: int) -> pl.DataFrame:
    """The ``keep`` best of each group: by level of support, then by the pair's hash. Depends on the pairs alone, not on
    which came first, and seldom changes as counts grow. COSMO avoids duplicates at the level of type pairs
    (section 3.2.1)."""
    ordered = frame.sort("level", "pair", descending=[True, False])
    return ordered.filter(pl.int_range(pl.len()).over(group) < keep)
