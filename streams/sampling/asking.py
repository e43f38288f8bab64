"""When a pair is asked: the first time, when its support enters the next power of two, when its answer grows old."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from streams.sampling.rules import Rules

NOVELTY_NEW = 1.0
NOVELTY_GROWN = 0.5
NOVELTY_STALE = 0.25
"""What is known already is worth less: half of a grown pair's support was there when it was asked before."""


def level(support: pl.Expr) -> pl.Expr:
    """Power of two that the support has reached: 0 for 0 and 1, 1 for 2 and 3, 2 for 4 to 7, …

    A pair is asked again when its level rises, so the number of times it is asked depends on what its support came to
    and not on the portions in which it came.
    """
    # Shifting whole numbers is exact where a floating logarithm of 2**n - 1 would round up.
    return pl.sum_horizontal((support >= 2**power).cast(pl.UInt8) for power in range(1, 40)).cast(pl.UInt8)


def reason(level_now: pl.Expr, asked_level: pl.Expr, asked_ms: pl.Expr, now: datetime, rules: Rules) -> pl.Expr:
    """NEW, GROWN or STALE, or null when there is nothing to ask. ``asked_*`` are null for a pair never asked."""
    oldest_ms = int((now.timestamp() - rules.stale_s) * 1000)
    return (
        pl.when(asked_ms.is_null())
        .then(pl.lit("NEW"))
        .when(level_now > asked_level)
        .then(pl.lit("GROWN"))
        .when(asked_ms < oldest_ms)
        .then(pl.lit("STALE"))
    )


def novelty(why: pl.Expr) -> pl.Expr:
    """Factor of the priority by reason."""
    return why.replace_strict(
        {"NEW": NOVELTY_NEW, "GROWN": NOVELTY_GROWN, "STALE": NOVELTY_STALE}, default=None, return_dtype=pl.Float64
    )
