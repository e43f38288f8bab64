"""Search-buy pairs: which products say something about why a query was typed. Pure, over all pairs of some queries."""

from __future__ import annotations

import polars as pl

from streams.sampling.bounds import poisson_high, poisson_low, wilson_low
from streams.sampling.rules import Rules


def shown(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds ``seen`` and ``clicked``: sessions that must have seen and clicked the product, whether or not the log
    tells. Logs without impressions or without clicks are common; who bought has clicked, and who clicked has seen."""
    clicked = pl.max_horizontal("clicks", "carts", "purchases")
    return frame.with_columns(clicked=clicked, seen=pl.max_horizontal("impressions", clicked))


def anonymous(head: str = "head") -> pl.Expr:
    """``query_sessions``: sessions that certainly used the query. One product's sessions are distinct, those of two
    products may be the same, so the greatest number for one product is the bound."""
    return pl.col("seen").max().over(head)


def rated(frame: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Adds ``purchase_rate_low`` and ``click_rate_low`` (Wilson). COSMO has thresholds on both (section 3.2.1)."""
    z, seen = rules.confidence_z, pl.col("seen")
    return frame.with_columns(
        purchase_rate_low=wilson_low(pl.col("purchases"), seen, z),
        click_rate_low=wilson_low(pl.col("clicked"), seen, z),
    )


def well_bought(rules: Rules) -> pl.Expr:
    """Whether a pair qualifies by what shoppers did: often enough bought and clicked, with confidence."""
    return (
        (pl.col("purchases") >= rules.search_purchases)
        & (pl.col("purchase_rate_low") >= rules.purchase_rate)
        & (pl.col("click_rate_low") >= rules.click_rate)
    ).fill_null(False)


def low_engagement(pair: pl.Expr, rules: Rules) -> pl.Expr:
    """Whether a pair belongs to the quota of seldom bought ones: clicked by some, and drawn by its own hash, so that
    every run and every owner draws the same. COSMO samples low-engagement queries besides (section 3.2.1)."""
    drawn = (pair // 2**44).cast(pl.Float64) < rules.low_engagement_share * 2**20
    return (pl.col("clicked") >= rules.low_engagement_clicks) & drawn


def bursting(frame: pl.DataFrame, days_before: int, rules: Rules) -> pl.DataFrame:
    """(head, burst) for each query: whether today's sessions certainly exceed ``burst_factor`` times those of an
    ordinary day before, both as Poisson means at their bounds. Null while too few days lie before today.

    ``frame``: head, clicked, today_clicked of each pair; ``days_before``: days in the state before today.
    """
    per_head = frame.group_by("head").agg(today=pl.col("today_clicked").sum(), total=pl.col("clicked").sum())
    before = (pl.col("total").cast(pl.Int64) - pl.col("today").cast(pl.Int64)).clip(0)
    daily_high = poisson_high(before, rules.confidence_z) / max(1, days_before)
    burst = poisson_low(pl.col("today"), rules.confidence_z) > rules.burst_factor * daily_high
    known = pl.lit(days_before >= rules.burst_days)
    return per_head.select("head", burst=pl.when(known).then(burst))
