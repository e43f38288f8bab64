"""Co-buy pairs: which two products say something about why they were bought together. Pure, over pairs of products."""

from __future__ import annotations

import polars as pl

from streams.sampling.bounds import poisson_low
from streams.sampling.rules import Rules


def lift_low(both: pl.Expr, left: pl.Expr, right: pl.Expr, sessions: int, z: float) -> pl.Expr:
    """Lower bound of lift: how many times more often two products are in one session than if their buyers were
    independent. ``both``, ``left``, ``right``: sessions with both, with either; ``sessions``: of the whole stream.
    Null where one of them is unknown."""
    expected = left.cast(pl.Float64) * right.cast(pl.Float64) / max(1, sessions)
    return poisson_low(both, z) / expected


CONFIRMED_LIFT = 8.0
"""Lift is worth more up to here. What is bought together a hundred times more often than by chance is mostly one
household that buys the same two things every week."""


def worth(lift_low: pl.Expr, type_lift_low: pl.Expr, support: pl.Expr) -> pl.Expr:
    """Breadth x support of two products. Their breadth is the lift that products and types agree on: how far the pair
    holds beyond itself."""
    agreed = pl.min_horizontal(lift_low, type_lift_low, pl.lit(CONFIRMED_LIFT))
    return (1 + agreed).log(2) * (1 + support).log(2)


def belonging(frame: pl.DataFrame, type_lifts: pl.DataFrame) -> pl.DataFrame:
    """Adds ``type_lift_low`` of the pair's product types, null when unknown. Row order is kept."""
    # Of the many pairs of types only those asked for: looking them all up would cost more than the rest of the rules.
    asked = type_lifts.join(frame.select("type").unique(), on="type", how="semi")
    found = asked.rename({"lift_low": "type_lift_low"})
    return frame.join(found, on=["type", "other_type"], how="left", maintain_order="left")


def qualifies(rules: Rules) -> pl.Expr:
    """Whether a pair goes on. Columns: co_purchases, lift_low, type, other_type, type_lift_low, vouched (the other
    product's voucher says yes), promiscuous (of the pair's owner).

    Both types must be known and differ (COSMO, section 3.2.1: no random pairs, no duplicates at the abstract level).
    A type lift that is unknown, because no other type was seen yet, stops nothing.
    """
    return (
        (pl.col("co_purchases") >= rules.basket_support)
        & (pl.col("lift_low") >= rules.pair_lift)
        & (pl.col("type") != pl.col("other_type"))
        & (pl.col("type_lift_low").fill_null(rules.type_lift) >= rules.type_lift)
        & pl.col("vouched")
        & ~pl.col("promiscuous")
    ).fill_null(False)


def promiscuous(distinctness: pl.DataFrame, own_sessions: pl.DataFrame, rules: Rules) -> pl.Series:
    """Heads that are bought with everything. ``distinctness``: head, nats; ``own_sessions``: head, sessions.
    COSMO drops products bought together with many different types (section 3.2.1)."""
    judged = distinctness.join(own_sessions, on="head")
    known = pl.col("sessions") >= rules.promiscuous_sessions
    return judged.filter(known & (pl.col("nats") < rules.promiscuous_nats))["head"]
