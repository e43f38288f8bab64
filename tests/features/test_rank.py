from __future__ import annotations

import math
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.rank import RankRule
from tests.features.examples import NOW, WEEK_S

RULE = RankRule(half_life_s=WEEK_S)


def rank(*, support: int = 8, event_time: datetime = NOW, typicality: float | None = 0.8) -> float:
    return RULE.rank(support=support, event_time=event_time, typicality=typicality)


def test_twice_the_support_weighs_as_much_as_one_half_life() -> None:
    assert rank(support=16) == pytest.approx(rank(event_time=NOW + timedelta(seconds=WEEK_S)))


def test_typicality_is_worth_one_doubling_at_most() -> None:
    assert rank(typicality=1.0) - rank(typicality=0.0) == pytest.approx(1.0)


def test_a_figure_that_is_none_counts_as_the_least() -> None:
    assert rank(typicality=None) == rank(typicality=math.nan) == rank(typicality=0.0)
    assert rank(support=0) == rank(support=1)


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 10**6))
def test_a_pair_whose_evidence_grows_never_loses_rank(support: int, more: int, later_s: int) -> None:
    grown = rank(support=support + more, event_time=NOW + timedelta(seconds=later_s))
    assert grown >= rank(support=support)
