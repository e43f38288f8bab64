"""One answer, however the stream was cut, repeated, delayed, and whoever owned its partitions."""

from __future__ import annotations

import random
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from streams.blocks import FactAction
from streams.ingest.facts import Combined
from streams.sampling.rules import Rules
from tests.sampling.cluster import NOW, Cluster
from tests.sampling.examples import TODAY, bought, orders, searches

RULES = Rules(promiscuous_sessions=20)


def stream(seed: int) -> list[Combined]:
    """Some days of a shop: tents with pegs, coats with scarves, lamps alone, and bags with everything."""
    chance = random.Random(seed)
    kinds = [["tent-1", "peg-1"], ["tent-2", "peg-1"], ["coat-1", "scarf-1"], ["lamp-1", "oil-1"], ["mug-1", "tea-1"]]
    tables = []
    for day in range(TODAY - 4, TODAY + 1):
        baskets = []
        for _ in range(25):
            basket = set(chance.choice(kinds))
            if chance.random() < 0.7:
                basket.add("bag-1")
            if chance.random() < 0.3:
                basket.add(chance.choice(chance.choice(kinds)))
            baskets.append(sorted(basket))
        tables.append(orders([basket for basket in baskets if len(basket) > 1], day=day))
        tables.append(
            searches(bought("camping", chance.choice(["tent-1", "peg-1", "mug-1"]), 3, shown=9, tag=f"c{day}"), day=day)
        )
        tables.append(searches(bought(f"rare {day}", "coat-1", 2, tag=f"r{day}"), day=day))
    return tables


def undisturbed(tables: list[Combined]) -> Cluster:
    cluster = Cluster(rules=RULES)
    for part in tables:
        cluster.add(part)
    cluster.settle()
    return cluster


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), chance=st.randoms(use_true_random=False))
def test_what_qualifies_depends_on_the_events_alone(seed: int, chance: random.Random) -> None:
    tables = stream(seed)
    calm = undisturbed(tables)
    assert calm.verdicts().height
    wild = Cluster(rules=RULES)
    again = [*tables, *chance.sample(tables, 4)]
    chance.shuffle(again)
    for part in again:
        wild.add(part)
        for _ in range(chance.randrange(3)):
            wild.step(chance.randrange(2), chance.randrange(1, 8))
        if chance.random() < 0.2:
            wild.restart(chance.randrange(2))
    wild.settle()
    assert_frame_equal(wild.verdicts(), calm.verdicts())


def test_products_that_belong_together_are_released_and_those_that_go_with_everything_are_not() -> None:
    cluster = undisturbed(stream(1))
    evidence = cluster.verdicts().filter(pl.col("lane") == "basket")
    assert evidence.height
    texts = {head: text for state in cluster.states for head, _, text in state.texts(state.heads()).iter_rows()}
    pairs = {frozenset((texts[row["head"]], texts[row["other"]])) for row in evidence.iter_rows(named=True)}
    assert frozenset(("coat-1", "scarf-1")) in pairs
    assert not any("bag-1" in pair for pair in pairs)


def test_a_query_of_fewer_sessions_than_k_stays_here() -> None:
    cluster = Cluster()
    cluster.add(searches(bought("my own name", "tent-1", 2)))
    cluster.settle()
    assert cluster.rows_due().is_empty()
    cluster.add(searches(bought("my own name", "tent-1", 1, tag="third")))
    cluster.settle()
    assert cluster.rows_due()["query_sessions"].to_list() == [3]


def test_a_pair_is_due_until_it_was_asked_and_again_when_its_support_doubles() -> None:
    cluster = Cluster(partitions=1)
    cluster.add(searches(bought("tent", "tent-1", 4)))
    cluster.settle()
    due = cluster.rows_due()
    assert due["reason"].to_list() == ["NEW"]
    cluster.states[0].ask(
        due.select("head", "other", asked_ms=pl.lit(1_728_086_400_000), level="level", reason=pl.lit(1, pl.UInt8))
    )
    assert cluster.rows_due().is_empty()
    cluster.add(searches(bought("tent", "tent-1", 3, tag="more")))
    cluster.settle()
    assert cluster.rows_due().is_empty()
    cluster.add(searches(bought("tent", "tent-1", 1, tag="eighth")))
    cluster.settle()
    assert cluster.rows_due()["reason"].to_list() == ["GROWN"]


@pytest.mark.parametrize("tables", [searches(bought("tent", "tent-1", 4)), orders([["tent-1", "peg-1"]] * 4)])
def test_a_pair_of_a_product_of_which_nothing_is_known_waits_until_it_is(tables: Combined) -> None:
    """A state may hold facts whose product is in no segment: those must not end its owner, and that for ever."""
    cluster = Cluster(partitions=1, rules=Rules(pair_lift=0.0, type_lift=0.0))
    cluster.add(orders([["coat-1", "scarf-1"]] * 8))
    cluster.add(replace(tables, products=tables.products.clear()))
    cluster.settle()
    assert "tent-1" not in {product.product_id for pair in cluster.due(NOW) for product in pair.products}
    cluster.add(searches([("somebody", "tents", product, FactAction.IMPRESSION) for product in ("tent-1", "peg-1")]))
    cluster.restart(0)
    cluster.settle()
    assert "tent-1" in {product.product_id for pair in cluster.due(NOW) for product in pair.products}


def test_a_query_that_is_nothing_but_masks_is_never_asked() -> None:
    """Everybody's bar codes are one query then, bought for as many reasons as there are products."""
    cluster = Cluster(partitions=1)
    rows = [row for n in range(3) for row in bought(f"400638133393{n}", "pen-1", 4, tag=str(n))]
    rows += bought("a@b.de 4006381333931", "pen-2", 4) + bought("ean:4006381333931", "pen-4", 4)
    rows += bought("pen 4006381333931", "pen-3", 4)
    cluster.add(searches(rows))
    cluster.settle()
    assert [pair.query for pair in cluster.due(NOW)] == ["pen <number>"]


def test_a_burst_goes_first_and_says_so() -> None:
    cluster = Cluster(partitions=1)
    for day in range(TODAY - 5, TODAY):
        cluster.add(
            searches([*bought("tent", "tent-1", 4, tag=f"t{day}"), *bought("tea", "tea-1", 4, tag=f"k{day}")], day=day)
        )
    cluster.add(searches([*bought("tent", "tent-1", 4), *bought("tea", "tea-1", 40, tag="k")]))
    cluster.settle()
    assert set(cluster.rows_due().select("support", "lane", "reason").iter_rows()) == {
        (24, "search", "NEW"),
        (60, "burst", "BURST"),
    }


def test_a_new_owner_judges_nothing_before_it_has_learned_from_every_head() -> None:
    cluster = undisturbed(stream(2))
    cluster.restart(0)
    board = cluster.boards[0]
    while board.learning:
        cluster.step(0, 2)
        assert board.qualified.is_empty()
    assert board.knowledge.type_lifts.height


def test_low_engagement_is_a_quota_drawn_by_the_pair_itself() -> None:
    cluster = Cluster(partitions=1, rules=Rules(low_engagement_share=0.2))
    rows = []
    for number in range(200):
        for session in range(3):
            rows += [
                (f"{number}-{session}", f"query {number}", "tent-1", action)
                for action in (FactAction.IMPRESSION, FactAction.CLICK)
            ]
    cluster.add(searches(rows))
    cluster.settle()
    due = cluster.rows_due()
    assert set(due["reason"]) == {"LOW_ENGAGEMENT"}
    assert 20 <= due.height <= 60
