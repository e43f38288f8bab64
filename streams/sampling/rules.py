"""Every threshold of the sampler in one place, with what breaks when it is wrong.

The rules are COSMO's (Yu et al., SIGMOD-Companion 2024, section 3.2.1, "Behavior Sampling"); it publishes none of its
thresholds. These defaults are chosen by what they do on real baskets: ``python -m bench.sampling_defaults``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Thresholds. Two workers of a group must use the same ones, or a pair's verdict would depend on its owner."""

    confidence_z: float = 1.645
    """One-sided 95 %: every rate and lift below is the lower bound at this confidence, so that three purchases do not
    pass for a habit."""

    query_sessions: int = 3
    """k of k-anonymity: a query that fewer sessions have used stays here. Lower, and one shopper's words reach the
    model and the features."""

    search_purchases: int = 2
    """Sessions that must have bought a product after a query. 1 would let a single whim through."""
    purchase_rate: float = 0.01
    """Least purchases per session that saw the product after the query."""
    click_rate: float = 0.03
    """Least clicks per session that saw the product after the query."""

    low_engagement_clicks: int = 2
    """Sessions that must at least have clicked, for a pair of the low-engagement quota."""
    low_engagement_share: float = 0.05
    """Share of the pairs below the rates that is asked nevertheless, chosen by the pair's hash and so the same in
    every run. COSMO adds such queries so that the tail is not forgotten."""

    basket_support: int = 3
    """Sessions that must have bought both products."""
    pair_lift: float = 1.5
    """Least lift of two products: how many times more often together than by chance."""
    type_lift: float = 1.5
    """Least lift of their product types, over all pairs of the two types. Most pairs of supermarket baskets that reach
    ``pair_lift`` by luck fail here; higher, and uncommon but true pairs go."""
    promiscuous_nats: float = 0.1
    """A product whose companions' types tell it from any other basket by less than this goes with everything, and so
    with nothing: bananas, eggs, milk."""
    promiscuous_sessions: int = 30
    """Below this many sessions of its own a product is not judged promiscuous: unknown."""

    per_type_pair: int = 3
    """Product pairs asked for each pair of product types; products asked for each query and product type."""

    burst_factor: float = 2.0
    """A query bursts when today's sessions are certainly more than this many times those of a day before."""
    burst_days: int = 3
    """Days that must lie before today for a burst to be known."""

    stale_s: float = 30 * 86_400.0
    """A pair asked longer ago than this is asked again: the model may have learned, the products changed."""
