"""What is kept of a pair: the k smallest sessions of every period that ends with the newest day, and no others."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.blocks import FACTS
from streams.state.facts import FactSet
from streams.state.keys import pack, unpack
from tests.state.examples import Fact, K, facts

FACT_LISTS = st.lists(facts(), min_size=1, max_size=60)


def kept(rows: list[Fact], horizon_days: int) -> list[tuple[int, ...]]:
    held = FactSet(sessions_kept=K, horizon_days=horizon_days)
    frame = pl.DataFrame(rows, schema=FACTS, orient="row")
    held.advance(frame)
    held.add(pack(frame))
    return unpack(held.all()).sort("pair", "action", "session").rows()


@settings(max_examples=80, deadline=None)
@given(FACT_LISTS)
def test_every_period_has_its_k_smallest_sessions_and_nothing_else_is_kept(rows: list[Fact]) -> None:
    everything = unpack(pack(pl.DataFrame(rows, schema=FACTS, orient="row")))
    newest = everything.group_by("pair", "action", "session").agg(pl.col("bucket").max())
    wanted: set[tuple[int, ...]] = set()
    for _, group in newest.group_by("pair", "action"):
        for bucket in group["bucket"].unique():
            period = group.filter(pl.col("bucket") >= bucket).sort("session").head(K)
            wanted |= set(period.select("pair", "bucket", "action", "session").rows())
    assert set(kept(rows, 1_000)) == wanted


@settings(max_examples=40, deadline=None)
@given(FACT_LISTS, st.integers(1, 8))
def test_a_shorter_horizon_keeps_the_part_of_a_longer_one_that_is_within_it(rows: list[Fact], days: int) -> None:
    watermark = max((fact[2] for fact in rows if fact[3] < 6), default=-1)
    within = [row for row in kept(rows, 1_000) if row[1] > watermark - days]
    assert kept(rows, days) == within
