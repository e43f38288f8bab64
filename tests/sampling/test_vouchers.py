"""Vouchers through the state: packed, merged, and read as the newest said."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.blocks import HEADS, PRODUCTS
from streams.ingest.facts import Tables
from streams.sampling import vouchers
from streams.state.partition import PartitionState
from tests.sampling.examples import TODAY, orders

OWNER, VOUCHER = 1, 2
said = st.tuples(st.integers(1, 10**7), st.booleans())


def facts(own: int, promiscuous: bool, *, version: int, bucket: int = TODAY) -> pl.DataFrame:
    rows = pl.select(
        owner=pl.lit(OWNER, pl.UInt64),
        voucher=pl.lit(VOUCHER, pl.UInt64),
        content=vouchers.content(pl.lit(own), pl.lit(promiscuous)),
        version=pl.lit(version, pl.Int64),
    )
    return vouchers.facts(rows, bucket)


def read(*parts: pl.DataFrame) -> tuple[bool, float]:
    state = PartitionState()
    state.add(orders([["tent-1", "peg-1"]]).tables(0, 1))
    for part in parts:
        state.add(Tables(facts=part, heads=HEADS.to_frame(), products=PRODUCTS.to_frame()))
    pairs = state.pairs_of(pl.Series([OWNER], dtype=pl.UInt64))
    row = vouchers.vouched(pairs).row(0, named=True)
    return row["vouched"], row["other_sessions"]


@given(said)
def test_support_is_rounded_up_by_a_fifth_at_most(what: tuple[int, bool]) -> None:
    own, promiscuous = what
    vouched, sessions = read(facts(own, promiscuous, version=7))
    assert vouched is not promiscuous
    assert own * (1 - 1e-9) <= sessions <= own * 2 ** (1 / vouchers.STEPS_PER_DOUBLING) * (1 + 1e-9)


@settings(max_examples=30)
@given(said, said, st.integers(0, 10**10), st.integers(1, 10**9), st.booleans())
def test_the_greater_version_is_believed_in_whatever_order_they_come(
    old: tuple[int, bool], new: tuple[int, bool], version: int, more: int, swapped: bool
) -> None:
    parts = [facts(*old, version=version), facts(*new, version=version + more)]
    assert read(*(reversed(parts) if swapped else parts)) == read(parts[1])


@settings(max_examples=30)
@given(said, said, st.integers(1, 10**9))
def test_a_later_day_is_believed_whatever_its_version(
    old: tuple[int, bool], new: tuple[int, bool], version: int
) -> None:
    later = facts(*new, version=0, bucket=TODAY + 1)
    assert read(facts(*old, version=version), later) == read(later)


def test_without_a_voucher_nothing_is_known() -> None:
    state = PartitionState()
    state.add(orders([["tent-1", "peg-1"]]).tables(0, 1))
    frame = vouchers.vouched(state.pairs_of(state.heads()))
    assert frame["vouched"].null_count() == frame["other_sessions"].null_count() == frame.height
