"""Confidence bounds as polars expressions: how sure counts are of a rate."""

from __future__ import annotations

import polars as pl


def wilson_low(successes: pl.Expr, trials: pl.Expr, z: float) -> pl.Expr:
    """Lower end of Wilson's score interval (Wilson 1927) for a proportion; null where there were no trials.

    Never above successes/trials; approaches it as trials grow. ``successes`` must not exceed ``trials``.
    """
    n, p = trials.cast(pl.Float64), successes.cast(pl.Float64) / trials
    centre = p + z * z / (2 * n)
    spread = z * (p * (1 - p) / n + z * z / (4 * n * n)).sqrt()
    low = (centre - spread) / (1 + z * z / n)
    return pl.when(n > 0).then(low.clip(0.0, 1.0))


def poisson_low(count: pl.Expr, z: float) -> pl.Expr:
    """Lower bound of a Poisson mean of which ``count`` was seen: Wilson and Hilferty's cube of a normal variable,
    within 0.1 of the exact bound. 0 for a count of 0, where the formula has a pole."""
    n = count.cast(pl.Float64)
    return pl.when(n > 0).then(n * (1 - 1 / (9 * n) - z / (3 * n.sqrt())).clip(0.0) ** 3).otherwise(0.0)


def poisson_high(count: pl.Expr, z: float) -> pl.Expr:
    """Upper bound of a Poisson mean of which ``count`` was seen."""
    n = count.cast(pl.Float64) + 1
    return n * (1 - 1 / (9 * n) + z / (3 * n.sqrt())) ** 3
