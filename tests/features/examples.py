"""Intents to test with: a maker with defaults, and hypothesis strategies that collide on purpose."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from features.merge import Change, MergeRule
from features.rank import RankRule
from schemas.records import HeadKind, Intent, Product

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEEK_S = 7 * 86_400.0
UMBRELLA = Product(product_id="B01", title="Windproof umbrella", product_type="umbrella", category="Outdoor")
BOOTS = Product(product_id="B02", title="Rain boots")
TENT = Product(product_id="B03", title="Dome tent", product_type="tent")
TOP_3 = MergeRule(top_k=3, rank=RankRule(half_life_s=WEEK_S))


def intent(**changes: Any) -> Intent:
    """One pair's evidence that "umbrella for storms" is used for walking the dog."""
    base = Intent(
        intent_id="i-1",
        pair_id="p-1",
        head_kind=HeadKind.QUERY,
        head="umbrella for storms",
        query="umbrella for storms",
        products=(UMBRELLA,),
        relation="used_for_eve",
        tail="walking the dog",
        tail_key="walking dog",
        plausibility=0.75,
        typicality=0.6,
        support=4,
        event_time=NOW - timedelta(minutes=10),
        generated_time=NOW - timedelta(minutes=5),
        template_id="search_buy.used_for_eve.1",
        model_id="smollm2-135m",
        specificity=0.4,
        product_types=("umbrella", "raincoat"),
        scores={"mean_logprob": -1.25},
    )
    return replace(base, **changes)


def co_buy(other: Product = BOOTS, **changes: Any) -> Intent:
    """Evidence that the umbrella and another product are bought together for a reason."""
    products = tuple(sorted((UMBRELLA, other), key=lambda product: product.product_id))
    head = "\n".join(product.product_id for product in products)
    return intent(
        **{
            "intent_id": f"i-{other.product_id}",
            "pair_id": f"p-{other.product_id}",
            "head_kind": HeadKind.PRODUCT_PAIR,
            "head": head,
            "query": None,
            "products": products,
            "specificity": None,
            "product_types": (),
            **changes,
        }
    )


@st.composite
def intents(draw: st.DrawFn) -> Intent:
    """Few tails, pairs and instants, so that slots, evidence keys and ranks collide often. What is known later may have
    been answered earlier."""
    tail, pair = draw(st.sampled_from("abcde")), draw(st.sampled_from("xyz"))
    hours, answered = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    return intent(
        intent_id=f"i-{tail}",
        pair_id=f"p-{pair}",
        tail=draw(st.sampled_from([tail, tail.upper()])),
        tail_key=tail,
        typicality=draw(st.sampled_from([None, 0.2, 0.5, 0.75, 1.0])),
        support=draw(st.sampled_from([1, 2, 4])),
        event_time=NOW + timedelta(hours=hours),
        generated_time=NOW + timedelta(hours=answered, seconds=draw(st.integers(0, 1))),
    )


def changes(min_size: int = 0) -> st.SearchStrategy[list[Change]]:
    """Evidence that comes; none that goes."""
    return st.lists(intents().map(lambda one: Change(intent=one)), min_size=min_size, max_size=20)


def changes_and_retractions() -> st.SearchStrategy[list[Change]]:
    """Evidence that comes and goes."""
    return st.lists(st.builds(Change, intent=intents(), retracted=st.booleans()), max_size=20)
