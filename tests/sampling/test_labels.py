"""What an event leaves out takes nothing away, and what nobody has said for a horizon is not known any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from streams.ingest.facts import Combined, Tables
from streams.sampling.described import describable, described
from streams.sampling.rules import Rules
from streams.state.facts import HORIZON_DAYS
from tests.sampling.cluster import NOW, Cluster
from tests.sampling.examples import TODAY, bought, orders, searches

KINDS = [("tent-1", "peg-1"), ("coat-1", "scarf-1"), ("lamp-1", "oil-1"), ("mug-1", "tea-1")]


def baskets(day: int = TODAY) -> Combined:
    return orders([KINDS[number % 4] for number in range(200)], day=day)


def without(combined: Combined, *labels: str) -> Combined:
    """The same of a producer who does not know them."""
    return replace(combined, products=combined.products.with_columns(pl.lit(None, pl.String).alias(x) for x in labels))


def asked(cluster: Cluster) -> set[tuple[str | None, ...]]:
    return {(pair.query, *(str(product) for product in pair.products)) for pair in cluster.due(NOW)}


@pytest.mark.parametrize("day", [TODAY - 1, TODAY, TODAY + 1])
@pytest.mark.parametrize("at_once", [True, False])
def test_an_event_without_a_type_takes_no_type_away_whenever_it_comes(day: int, at_once: bool) -> None:
    cluster, seen = Cluster(1), searches(bought("tent", "tent-1", 1), day=day)
    cluster.add(baskets())
    cluster.settle()
    before = asked(cluster)
    assert len(before) == 4
    late = Cluster(1)
    for part in (without(seen, "product_type", "category"), baskets()):
        late.add(part)
        if not at_once:
            late.settle()
    late.settle()
    cluster.add(without(seen, "product_type", "category"))
    cluster.settle()
    assert asked(cluster) == asked(late) == before


def test_a_type_that_nobody_has_said_for_a_horizon_is_unknown_to_every_owner_alike() -> None:
    """Also to one who has learned from it which types belong together."""
    cluster = Cluster(1, rules=Rules(promiscuous_sessions=20))
    cluster.add(baskets())
    later = without(baskets(TODAY + HORIZON_DAYS - 1), "product_type", "category")
    cluster.add(later)
    cluster.settle()
    assert cluster.qualified().filter(pl.col("lane") == "basket").height == 4
    cluster.add(searches(bought("mug", "mug-1", 1), day=TODAY + HORIZON_DAYS))
    cluster.settle()
    old = cluster.verdicts()
    assert old.filter(pl.col("lane") == "basket").is_empty()
    assert cluster.boards[0].knowledge.type_lifts.is_empty()
    cluster.restart(0)
    cluster.settle()
    assert_frame_equal(cluster.verdicts(), old)


def test_a_product_without_a_title_is_not_asked_about() -> None:
    """None that ingest lets through is; but what stands in pair-counts may come from anybody."""
    cluster = Cluster(1)
    cluster.add(without(searches(bought("tent", "tent-1", 4)), "title"))
    cluster.settle()
    assert not cluster.due(NOW)
    cluster.add(searches(bought("shelter", "tent-1", 1)))
    cluster.settle()
    assert [pair.query for pair in cluster.due(NOW)] == ["tent"]


def test_a_row_that_was_due_when_the_horizon_left_it_behind_is_passed_over() -> None:
    cluster = Cluster(1)
    cluster.add(searches(bought("tent", "tent-1", 4)))
    cluster.add(baskets())
    cluster.settle()
    (state,), rows = cluster.states, cluster.rows_due()
    assert_frame_equal(describable(state, rows), rows)
    mugs = searches(bought("mug", "mug-1", 4), day=TODAY + HORIZON_DAYS)
    cluster.add(mugs)
    state.drop_expired()
    assert describable(state, rows).is_empty()
    assert described(state, describable(state, rows), NOW + timedelta(days=HORIZON_DAYS)) == []


@pytest.mark.parametrize("products_first", [True, False])
def test_products_and_facts_may_come_in_either_order(products_first: bool) -> None:
    """They do where a fetch knows more products than one block takes."""
    whole, apart, tables = Cluster(1), Cluster(1), baskets().tables(0, 1)
    whole.add(baskets())
    parts = [
        Tables(facts=tables.facts.clear(), heads=tables.heads.clear(), products=tables.products),
        Tables(facts=tables.facts, heads=tables.heads, products=tables.products.clear()),
    ]
    for part in parts if products_first else reversed(parts):
        apart.boards[0].touch(apart.states[0].add(part))
        apart.settle()
    whole.settle()
    assert_frame_equal(apart.verdicts(), whole.verdicts())
