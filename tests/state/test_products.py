"""What is known of a product: of each label the newest that any event within the horizon said, whatever came when."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.blocks import FACTS, LABELS, PRODUCTS, FactAction
from streams.ingest.facts import DAY_MS, Tables, newest
from streams.state.partition import PartitionState
from streams.state.tables import type_of
from tests.state.examples import HORIZON, PRODUCT_NUMBERS, Fact, K, session, tables

Row = tuple[Any, ...]
"""Of `PRODUCTS`: what one event said."""

label = st.sampled_from([None, "a", "b"])
rows: st.SearchStrategy[Row] = st.builds(
    lambda number, time, *labels: (number, time, f"p{number}", *labels),
    st.sampled_from(PRODUCT_NUMBERS),
    st.builds(lambda day, ms: (100 + day) * DAY_MS + ms, st.integers(0, 5), st.integers(0, 1)),
    label,
    label,
    label,
)
ROWS = st.lists(rows, min_size=1, max_size=30)
ALL = pl.Series("product", PRODUCT_NUMBERS, dtype=pl.UInt64)


def head(product: int) -> int:
    return 1 + product % 3


def batched(events: Sequence[Row], size: int) -> list[Sequence[Row]]:
    return [events[at : at + size] for at in range(0, len(events), size)]


def fact(row: Row) -> Fact:
    return head(row[0]), row[0], row[1] // DAY_MS, int(FactAction.CLICK), session(1)


def block(events: Sequence[Row]) -> Tables:
    """Events as they come in one fetch."""
    said = pl.DataFrame(events, schema=PRODUCTS, orient="row")
    return replace(tables([fact(row) for row in events]), products=newest(said))


def state_of(fetches: Iterable[Sequence[Row]]) -> PartitionState:
    state = PartitionState(sessions_kept=K, horizon_days=HORIZON)
    for fetch in fetches:
        state.add(block(fetch))
    return state


def expected(events: Sequence[Row]) -> list[Row]:
    """By definition."""
    oldest_ms = (max(row[1] // DAY_MS for row in events) - HORIZON + 1) * DAY_MS
    found = []
    for number in PRODUCT_NUMBERS:
        said = sorted((row for row in events if row[0] == number and row[1] >= oldest_ms), key=_order)
        if said:
            known = [next((row[at] for row in reversed(said) if row[at] is not None), None) for at in (3, 4, 5)]
            found.append((number, said[-1][1], said[-1][2], *known))
    return found


def _order(row: Row) -> tuple[object, ...]:
    return tuple((value is not None, value or "") for value in row[1:])


@settings(max_examples=30, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_any_order_repetition_and_split_give_the_newest_that_is_known(events: list[Row], chance: random.Random) -> None:
    shuffled = events + chance.choices(events, k=len(events) // 2)
    chance.shuffle(shuffled)
    at_once, split = state_of([events]), state_of(batched(shuffled, chance.randint(1, 5)))
    assert at_once.products(ALL).rows() == split.products(ALL).rows() == expected(events)
    assert at_once.fingerprint() == split.fingerprint()
    assert split.products(ALL).rows() == expected(events)  # also when what has expired is given back


@settings(max_examples=30, deadline=None)
@given(ROWS, st.integers(0, 10), st.booleans())
def test_a_new_owner_knows_what_the_old_ones_did(events: list[Row], cut: int, tidied: bool) -> None:
    """Their deltas merged in the other order, with what both have taken in; or the first one's table written anew."""
    first, second = state_of(batched(events[: cut + 2], 2)), state_of(batched(events[cut:], 3))
    loaded = PartitionState(sessions_kept=K, horizon_days=HORIZON)
    for owner in (second, first):
        deltas = owner.take_delta()
        if tidied and owner is first:
            deltas["products"] = first.snapshot("products").sample(fraction=1.0, shuffle=True, seed=cut)
        for table, delta in deltas.items():
            loaded.merge_table(table, delta)
    assert loaded.products(ALL).rows() == expected(events)
    assert loaded.fingerprint() == state_of([events]).fingerprint()


@settings(max_examples=30, deadline=None)
@given(ROWS)
def test_a_product_has_four_rows_at_most_and_as_many_as_say_something(events: list[Row]) -> None:
    state = state_of(batched(events, 3))
    kept = state.snapshot("products")
    assert kept.equals(newest(kept).sort("product", *list(PRODUCTS)[1:], nulls_last=False))
    assert kept.group_by("product").len().filter(pl.col("len") > 1 + len(LABELS)).is_empty()


@settings(max_examples=30, deadline=None)
@given(ROWS, st.integers(1, 3))
def test_heads_are_named_when_the_type_of_a_product_changes(events: list[Row], size: int) -> None:
    """By what an event says, or because the event that said it has left the horizon."""
    state = state_of([])
    for fetch in batched(events, size):
        before = types(state)
        touched = set(state.add(block(fetch)))
        now = types(state)
        assert {head(number) for number in now if number not in before or now[number] != before[number]} <= touched


def types(state: PartitionState) -> dict[int, str | None]:
    return dict(state.products(ALL).select("product", type_of()).iter_rows())


@settings(max_examples=30, deadline=None)
@given(ROWS)
def test_heads_are_named_when_a_product_comes_after_its_facts(events: list[Row]) -> None:
    state = state_of([])
    state.add(replace(block(events), products=PRODUCTS.to_frame()))
    touched = set(state.add(replace(block(events), facts=FACTS.to_frame())))
    assert touched == {head(number) for number in types(state)}


def test_what_is_known_already_is_no_gain() -> None:
    said: list[Row] = [(10, 100 * DAY_MS, "p10", "Tent", "tent", None), (10, 101 * DAY_MS, "p10", "Tent", None, "camp")]
    state = state_of([said])
    state.take_delta()
    state.add(block([(10, 99 * DAY_MS, "p10", "Old", "old", "old"), *said]))
    assert "products" not in state.take_delta()
