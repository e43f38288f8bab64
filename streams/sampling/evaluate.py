"""All rules applied to some heads: rows of the state in, qualified pairs out. Pure.

What comes out depends on the rows and on what is known at the time (`Known`), never on what came out before, so an
evaluation can be repeated, interrupted or done by another owner.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from streams.sampling import baskets, search
from streams.sampling.asking import level
from streams.sampling.rules import Rules
from streams.sampling.types import specificity
from streams.sampling.vouchers import vouched

_COUNTS = ("impressions", "clicks", "carts", "purchases", "co_purchases", "query_sessions", "own_sessions")
_MEASURES = (
    "purchase_rate_low",
    "click_rate_low",
    "other_sessions",
    "lift_low",
    "type_lift_low",
    "breadth",
)
FIGURES = (*_COUNTS, *_MEASURES)
"""What the rules saw of a pair; null where a rule does not apply. Kept with the pair as its evidence. ``_low`` is a
lower confidence bound."""

_QUALIFIED: dict[str, pl.DataType | type[pl.DataType]] = {
    "head": pl.UInt64,
    "other": pl.UInt64,
    "pair": pl.UInt64,  # the pair's key: breaks ties, draws the quota
    "lane": pl.String,
    "group": pl.UInt64,  # what thinning counts: query and product type, or pair of product types
    "support": pl.Int64,
    "level": pl.UInt8,
    "worth": pl.Float64,  # priority before novelty
    "burst": pl.Boolean,
    "last_bucket": pl.Int32,
    "specificity": pl.Float64,
    "product_types": pl.List(pl.String),
    **dict.fromkeys(_COUNTS, pl.Int64),
    **dict.fromkeys(_MEASURES, pl.Float64),
}
QUALIFIED = pl.Schema(_QUALIFIED)
"""A pair that qualifies, as what, and how much it is worth to ask."""

LIFTS = pl.Schema({"type": pl.UInt32, "other_type": pl.UInt32, "lift_low": pl.Float64})


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the partition besides the pairs being judged."""

    sessions: int
    """Purchasing sessions of the whole stream."""
    types: int
    """Product types seen."""
    days_before: int
    """Days of events before today's."""
    type_lifts: pl.DataFrame = field(default_factory=LIFTS.to_frame)
    promiscuous: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.UInt64))


def searches(pairs: pl.DataFrame, known: Known, rules: Rules) -> pl.DataFrame:
    """`QUALIFIED` of some queries. ``pairs``: every pair of each of them, as `streams.state.summary.SUMMARY` and with
    ``pair``, and the other product's ``other_text`` (its product type by name) and ``other_type`` (as a code)."""
    frame = search.rated(search.shown(pairs), rules).with_columns(query_sessions=search.anonymous())
    broad = specificity(frame.select("head", product_type="other_text", sessions="purchases"), known.types)
    today = pl.max_horizontal("today_clicks", "today_carts", "today_purchases")
    burst = search.bursting(frame.with_columns(today_clicked=today), known.days_before, rules)
    frame = frame.join(broad, on="head", how="left").join(burst, on="head", how="left")
    lane = (
        pl.when(search.well_bought(rules))
        .then(pl.lit("search"))
        .when(search.low_engagement(pl.col("pair"), rules))
        .then(pl.lit("low_engagement"))
    )
    kept = frame.with_columns(lane=lane, support=pl.col("purchases")).filter(
        pl.col("lane").is_not_null() & (pl.col("query_sessions") >= rules.query_sessions)
    )
    # What was hardly bought is weighed by its clicks, so that there too the broad and the frequent go first.
    engaged = pl.when(pl.col("lane") == "search").then("support").otherwise("clicked")
    worth = pl.col("breadth").fill_null(1.0) * (1 + engaged).log(2)
    group = pl.struct("head", "other_type").hash()
    return _qualified(kept.with_columns(worth=worth, group=group, burst=pl.col("burst").fill_null(False)))


def products(pairs: pl.DataFrame, known: Known, rules: Rules) -> pl.DataFrame:
    """`QUALIFIED` of some products, as owners of their pairs (the smaller hash owns). ``pairs`` as for `searches`,
    the product with itself included, and with ``type`` of the head."""
    own = pairs.filter(pl.col("head") == pl.col("other")).select("head", own_sessions="co_purchases")
    owned = pairs.filter((pl.col("head") < pl.col("other")) & (pl.col("co_purchases") >= rules.basket_support)).join(
        own, on="head"
    )
    frame = baskets.belonging(vouched(owned), known.type_lifts).with_columns(
        promiscuous=pl.col("head").is_in(known.promiscuous.implode()),
        lift_low=baskets.lift_low(
            pl.col("co_purchases"),
            pl.col("own_sessions"),
            pl.col("other_sessions"),
            known.sessions,
            rules.confidence_z,
        ),
    )
    kept = frame.filter(baskets.qualifies(rules))
    return _qualified(
        kept.with_columns(
            lane=pl.lit("basket"),
            support=pl.col("co_purchases"),
            worth=baskets.worth(pl.col("lift_low"), pl.col("type_lift_low"), pl.col("co_purchases")),
            group=_unordered("type", "other_type"),
            burst=pl.lit(False),
        ).drop("impressions", "clicks", "carts", "purchases")
    )


def _unordered(one: str, two: str) -> pl.Expr:
    low, high = (of(one, two).cast(pl.UInt64) for of in (pl.min_horizontal, pl.max_horizontal))
    return low * 2**32 + high


def _qualified(frame: pl.DataFrame) -> pl.DataFrame:
    frame = frame.with_columns(level=level(pl.col("support")))
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in QUALIFIED.items() if name not in frame.columns]
    return frame.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in QUALIFIED.items())
