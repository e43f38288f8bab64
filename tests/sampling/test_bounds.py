"""Confidence bounds: below what was seen, closer with more of it, never in the wrong direction."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from streams.sampling.bounds import poisson_high, poisson_low, wilson_low

Z = 1.645
counts = st.integers(0, 10**6)


def value(expression: pl.Expr) -> float | None:
    result = pl.select(expression.alias("x")).item()
    assert result is None or isinstance(result, float)
    return result


def wilson(successes: int, trials: int) -> float:
    low = value(wilson_low(pl.lit(successes), pl.lit(trials), Z))
    assert low is not None
    return low


@given(st.integers(1, 10**6), st.data())
def test_the_bound_of_a_rate_lies_between_nothing_and_the_rate(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    assert 0.0 <= wilson(successes, trials) <= successes / trials + 1e-12


@given(st.integers(1, 10**5), st.data())
def test_one_more_success_never_lowers_the_bound_of_a_rate(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials - 1))
    assert wilson(successes, trials) <= wilson(successes + 1, trials) + 1e-12


@given(st.integers(1, 10**4), st.integers(1, 10**4))
def test_the_same_rate_is_surer_with_more_trials(successes: int, others: int) -> None:
    trials = successes + others
    assert wilson(successes, trials) < wilson(2 * successes, 2 * trials)


def test_a_rate_without_trials_is_unknown() -> None:
    assert value(wilson_low(pl.lit(0), pl.lit(0), Z)) is None


@given(counts)
def test_bounds_of_a_count_enclose_it(count: int) -> None:
    low, high = value(poisson_low(pl.lit(count), Z)), value(poisson_high(pl.lit(count), Z))
    assert low is not None
    assert high is not None
    assert low <= count <= high


@given(counts)
def test_bounds_of_a_count_rise_with_it(count: int) -> None:
    for bound in (poisson_low, poisson_high):
        one, two = value(bound(pl.lit(count), Z)), value(bound(pl.lit(count + 1), Z))
        assert one is not None
        assert two is not None
        assert one <= two


def test_bounds_of_a_count_are_those_of_the_tables() -> None:
    """Exact one-sided 95 % limits of 10: 5.425 and 16.962 (chi-squared quantiles)."""
    low, high = value(poisson_low(pl.lit(10), Z)), value(poisson_high(pl.lit(10), Z))
    assert low is not None
    assert high is not None
    assert abs(low - 5.425) < 0.05
    assert abs(high - 16.962) < 0.05
