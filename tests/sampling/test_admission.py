"""Admission: the queue stays short, follows the model, and every lane gets its turns."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.sampling.admission import Budget, Lanes, Window


def waiting(**lanes: int) -> pl.DataFrame:
    rows = [
        {"lane": lane, "priority": float(number % 7), "pair": index * 1_000 + number}
        for index, (lane, count) in enumerate(lanes.items())
        for number in range(count)
    ]
    return pl.DataFrame(rows, schema={"lane": pl.String, "priority": pl.Float64, "pair": pl.UInt64})


def without(frame: pl.DataFrame, taken: pl.DataFrame) -> pl.DataFrame:
    return frame.join(taken, on="pair", how="anti")


def test_a_burst_goes_before_everything_and_the_best_of_a_lane_first() -> None:
    taken = Lanes().take(waiting(search=20, burst=3), 6)
    assert taken["lane"].to_list() == ["burst"] * 3 + ["search"] * 3
    assert taken.filter(pl.col("lane") == "search")["priority"].to_list() == [6.0, 6.0, 5.0]


@settings(max_examples=20)
@given(st.lists(st.integers(1, 9), min_size=60, max_size=60))
def test_lanes_get_their_shares_however_small_the_portions(portions: list[int]) -> None:
    lanes, left = Lanes(), waiting(search=600, basket=600, low_engagement=600)
    counts = dict.fromkeys(("search", "basket", "low_engagement"), 0)
    for portion in portions:
        taken = lanes.take(left, portion)
        assert taken.height == portion
        left = without(left, taken)
        for lane in taken["lane"]:
            counts[lane] += 1
    total = sum(portions)
    assert abs(counts["search"] - 0.5 * total) <= 2
    assert abs(counts["low_engagement"] - 0.05 * total) <= 2


def test_a_lane_that_had_nothing_saves_up_no_turns() -> None:
    lanes = Lanes()
    lanes.take(waiting(search=400), 400)
    taken = lanes.take(waiting(search=20, basket=20), 10)
    assert 4 <= taken.filter(pl.col("lane") == "basket").height <= 6


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 100))
def test_no_room_is_left_unused(search: int, low: int, room: int) -> None:
    frame = waiting(search=search, low_engagement=low)
    assert Lanes().take(frame, room).height == min(room, frame.height)


def test_the_window_follows_a_fast_model_and_comes_back_for_a_slow_one() -> None:
    window = Window(least=64, most=1_024)
    for _ in range(10):
        window.observe(0, waiting=True)
    assert window.size == 1_024
    for _ in range(200):
        window.observe(1_000, waiting=True)
    assert window.size < 128
    window = Window(least=64)
    for _ in range(50):
        window.observe(60, waiting=True)
    assert window.size == 64


def test_an_empty_queue_without_demand_does_not_widen_the_window() -> None:
    window = Window(least=64)
    window.observe(0, waiting=False)
    assert window.size == 64


def test_what_was_sent_counts_until_the_lag_counts_it() -> None:
    budget = Budget(Window(least=100))
    assert budget.room(1.0) == 0, "an unknown lag allows nothing"
    budget.measured(40, 0)
    assert budget.room(1.0) == 60
    budget.sent(50, held_back=False)
    assert budget.room(1.0) == 10
    before = budget.sent_since
    budget.sent(5, held_back=False)  # while the lag is being asked for
    budget.measured(90, before)
    assert budget.room(1.0) == 5
    budget.measured(None, budget.sent_since)
    assert budget.room(1.0) == 0


@given(st.integers(0, 200), st.lists(st.integers(0, 200), max_size=5))
def test_a_share_of_the_partitions_is_a_share_of_the_window(lag: int, sent: list[int]) -> None:
    half = Budget(Window(least=100))
    half.measured(lag, 0)
    assert half.room(0.5) <= 50
    for records in sent:
        half.sent(records, held_back=True)
        assert half.room(0.5) >= 0
