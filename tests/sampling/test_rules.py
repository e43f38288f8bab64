"""Each rule alone: it moves in the right direction, stays within its bounds, and unknown stays unknown."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.sampling import asking, baskets, search
from streams.sampling.rules import Rules
from streams.sampling.thinning import thinned

RULES = Rules()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
few = st.integers(0, 2_000)


def searched(**counts: int) -> pl.DataFrame:
    row = dict.fromkeys(("impressions", "clicks", "carts", "purchases"), 0) | counts
    return search.rated(search.shown(pl.DataFrame([row])), RULES)


def holds(frame: pl.DataFrame, rule: pl.Expr) -> bool:
    return bool(frame.select(rule.alias("x"))["x"][0])


# --- search-buy ---


@given(few, few, few, few)
def test_who_bought_has_clicked_and_who_clicked_has_seen(shown: int, clicks: int, carts: int, bought: int) -> None:
    row = searched(impressions=shown, clicks=clicks, carts=carts, purchases=bought).row(0, named=True)
    assert row["seen"] >= row["clicked"] >= max(clicks, carts, bought)
    assert row["seen"] >= shown


@given(few, few, few)
def test_more_purchases_never_disqualify(shown: int, bought: int, more: int) -> None:
    before = searched(impressions=shown + bought + more, purchases=bought)
    after = searched(impressions=shown + bought + more, purchases=bought + more)
    assert holds(before, search.well_bought(RULES)) <= holds(after, search.well_bought(RULES))


@given(few, few, few)
def test_more_who_only_saw_never_qualify(shown: int, more: int, bought: int) -> None:
    few_saw, many_saw = (
        searched(impressions=shown, purchases=bought),
        searched(impressions=shown + more, purchases=bought),
    )
    assert holds(many_saw, search.well_bought(RULES)) <= holds(few_saw, search.well_bought(RULES))


def test_a_high_ratio_of_little_is_not_confidence() -> None:
    assert not holds(searched(impressions=1, clicks=1, purchases=1), search.well_bought(RULES))
    assert holds(searched(impressions=30, clicks=10, purchases=3), search.well_bought(RULES))
    assert not holds(searched(impressions=3_000, clicks=10, purchases=3), search.well_bought(RULES))


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50))
def test_a_larger_quota_keeps_what_a_smaller_one_drew(pairs: list[int]) -> None:
    frame = pl.DataFrame({"pair": pl.Series(pairs, dtype=pl.UInt64), "clicked": 5})
    drawn = [
        frame.select(x=search.low_engagement(pl.col("pair"), Rules(low_engagement_share=share)))["x"].to_list()
        for share in (0.0, 0.1, 0.6, 1.0)
    ]
    assert not any(drawn[0])
    assert all(drawn[-1])
    assert all(
        small <= large
        for smaller, larger in itertools.pairwise(drawn)
        for small, large in zip(smaller, larger, strict=True)
    )


def burst(today: int, total: int, days: int) -> bool | None:
    frame = pl.DataFrame({"head": [1], "clicked": [total], "today_clicked": [today]})
    found = search.bursting(frame, days, RULES)["burst"][0]
    assert found is None or isinstance(found, bool)
    return found


@given(few, st.integers(1, 100), st.integers(3, 29))
def test_more_today_never_ends_a_burst(today: int, more: int, days: int) -> None:
    assert (burst(today, today + 50, days) or False) <= (burst(today + more, today + more + 50, days) or False)


def test_a_burst_is_a_rise_that_chance_does_not_explain() -> None:
    assert burst(3, 3 + 10, 10) is False
    assert burst(40, 40 + 10, 10) is True
    assert burst(100, 100 + 1_000, 10) is False


def test_without_days_before_nobody_knows_of_a_burst() -> None:
    assert burst(1_000, 1_000, 2) is None


# --- co-buy ---


def lift(both: int, left: int, right: int, sessions: int) -> float:
    found = pl.select(baskets.lift_low(pl.lit(both), pl.lit(left), pl.lit(right), sessions, 1.645)).item()
    assert isinstance(found, float)
    return found


@given(st.integers(1, 500), few, few, st.integers(1, 10**6))
def test_the_bound_of_lift_is_below_lift_and_rises_with_evidence(both: int, left: int, right: int, others: int) -> None:
    left, right = both + left, both + right
    sessions = left + right + others
    assert lift(both, left, right, sessions) <= both * sessions / (left * right)
    assert lift(both, left, right, sessions) <= lift(both + 1, left + 1, right + 1, sessions + 1) * (1 + 2 / both)
    assert lift(both, left, right, sessions) <= lift(both, left, right, sessions + 1)


GOOD_PAIR = {
    "co_purchases": 10,
    "lift_low": 4.0,
    "type": 1,
    "other_type": 2,
    "type_lift_low": 3.0,
    "vouched": True,
    "promiscuous": False,
}


@pytest.mark.parametrize(
    ("change", "qualifies"),
    [
        ({}, True),
        ({"co_purchases": 2}, False),
        ({"lift_low": 1.4}, False),
        ({"other_type": 1}, False),
        ({"type_lift_low": 1.4}, False),
        ({"type_lift_low": None}, True),
        ({"vouched": False}, False),
        ({"vouched": None}, False),
        ({"promiscuous": True}, False),
        ({"type": None}, False),
        ({"lift_low": None}, False),
    ],
)
def test_a_pair_needs_every_condition(change: dict[str, object], qualifies: bool) -> None:
    assert holds(pl.DataFrame([GOOD_PAIR | change]), baskets.qualifies(RULES)) is qualifies


# --- asking ---


@given(st.integers(0, 2**39))
def test_the_level_is_the_power_of_two(support: int) -> None:
    assert pl.select(asking.level(pl.lit(support))).item() == max(0, support.bit_length() - 1)


def why(support: int, level: int | None, asked: datetime | None) -> str | None:
    asked_ms = None if asked is None else int(asked.timestamp() * 1000)
    expression = asking.reason(
        asking.level(pl.lit(support)), pl.lit(level, pl.UInt8), pl.lit(asked_ms, pl.Int64), NOW, RULES
    )
    found = pl.select(expression).item()
    assert found is None or isinstance(found, str)
    return found


def test_a_pair_is_asked_when_new_grown_or_stale_and_not_otherwise() -> None:
    yesterday, long_ago = NOW - timedelta(days=1), NOW - timedelta(days=31)
    assert why(5, None, None) == "NEW"
    assert why(5, 2, yesterday) is None
    assert why(7, 2, yesterday) is None
    assert why(8, 2, yesterday) == "GROWN"
    assert why(5, 2, long_ago) == "STALE"
    assert why(3, 2, yesterday) is None  # it shrank: what was said still holds


# --- thinning ---

pairs = st.lists(
    st.fixed_dictionaries({"pair": st.integers(0, 2**64 - 1), "level": st.integers(0, 9), "group": st.integers(0, 3)}),
    unique_by=lambda row: row["pair"],
    max_size=40,
)


@given(pairs, st.integers(1, 5), st.randoms(use_true_random=False))
def test_thinning_keeps_the_best_of_each_group_whatever_the_order(
    rows: list[dict[str, int]], keep: int, chance: object
) -> None:
    schema = {"pair": pl.UInt64, "level": pl.UInt8, "group": pl.UInt64}
    kept = thinned(pl.DataFrame(rows, schema=schema), ["group"], keep)
    chance.shuffle(rows)  # type: ignore[attr-defined]
    again = thinned(pl.DataFrame(rows, schema=schema), ["group"], keep)
    assert set(kept["pair"]) == set(again["pair"])
    for group in {row["group"] for row in rows}:
        all_levels = sorted((row["level"] for row in rows if row["group"] == group), reverse=True)
        levels = sorted(kept.filter(pl.col("group") == group)["level"], reverse=True)
        assert levels == all_levels[:keep]
