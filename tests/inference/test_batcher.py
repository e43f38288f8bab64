"""Micro-batches: nothing is lost, doubled or reordered, and nobody waits longer than promised."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from inference.batcher import Batcher, Lane, halves

ARRIVALS = st.lists(st.tuples(st.floats(0.0, 0.5), st.sampled_from(Lane)), max_size=60)
"""Time since the one before, and lane."""
SIZES = st.integers(1, 8)
WAIT_S = 1.0


def run(arrivals: Iterable[tuple[float, Lane]], max_size: int) -> list[tuple[float, list[tuple[int, Lane, float]]]]:
    """Batches with their times, of an idle server that takes each as soon as it is due. Items: number, lane, since."""
    batcher: Batcher[tuple[int, Lane, float]] = Batcher(max_size=max_size, max_wait_s=WAIT_S)
    batches = []

    def take_due(until_s: float) -> None:
        while (due_at_s := batcher.due_at_s()) is not None and due_at_s <= until_s:
            assert batcher.due(due_at_s)
            batches.append((due_at_s, [one.item for one in batcher.take()]))

    now_s = 0.0
    for number, (gap_s, lane) in enumerate(arrivals):
        now_s += gap_s
        take_due(now_s)
        batcher.add((number, lane, now_s), lane, now_s)
        while len(batcher) >= max_size:
            assert batcher.due(now_s)
            batches.append((now_s, [one.item for one in batcher.take()]))
    take_due(float("inf"))
    assert len(batcher) == 0
    return batches


@given(ARRIVALS, SIZES)
def test_everything_is_taken_once_and_in_order_within_its_lane(
    arrivals: list[tuple[float, Lane]], max_size: int
) -> None:
    taken = [item for _, batch in run(arrivals, max_size) for item in batch]
    assert sorted(number for number, _, _ in taken) == list(range(len(arrivals)))
    for lane in Lane:
        numbers = [number for number, of, _ in taken if of is lane]
        assert numbers == sorted(numbers)


@given(ARRIVALS, SIZES)
def test_no_batch_is_empty_or_larger_than_allowed(arrivals: list[tuple[float, Lane]], max_size: int) -> None:
    assert all(1 <= len(batch) <= max_size for _, batch in run(arrivals, max_size))


@given(ARRIVALS, SIZES)
def test_nobody_waits_longer_than_promised_while_the_server_is_idle(
    arrivals: list[tuple[float, Lane]], max_size: int
) -> None:
    for at_s, batch in run(arrivals, max_size):
        assert all(at_s - since_s <= WAIT_S + 1e-9 for _, _, since_s in batch)


@given(ARRIVALS, SIZES)
def test_in_a_batch_requests_stand_before_pairs(arrivals: list[tuple[float, Lane]], max_size: int) -> None:
    for _, batch in run(arrivals, max_size):
        lanes = [lane for _, lane, _ in batch]
        assert lanes == sorted(lanes)


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=20).map(sorted))
def test_the_deadline_does_not_move_when_more_arrive(times: list[float]) -> None:
    batcher: Batcher[int] = Batcher(max_size=100, max_wait_s=WAIT_S)
    for number, at_s in enumerate(times):
        batcher.add(number, Lane.PAIRS, at_s)
        assert batcher.due_at_s() == times[0] + WAIT_S


def test_a_full_batch_does_not_wait_and_the_next_deadline_is_that_of_who_is_left() -> None:
    batcher: Batcher[str] = Batcher(max_size=2, max_wait_s=WAIT_S)
    for item, at_s in (("a", 0.0), ("b", 0.1), ("c", 0.2)):
        batcher.add(item, Lane.PAIRS, at_s)
    assert batcher.due(0.2)
    assert [one.item for one in batcher.take()] == ["a", "b"]
    assert not batcher.due(0.2)
    assert batcher.due_at_s() == 0.2 + WAIT_S


def test_a_request_overtakes_the_pairs_that_wait() -> None:
    batcher: Batcher[str] = Batcher(max_size=2, max_wait_s=WAIT_S)
    for item, lane in (("pair 1", Lane.PAIRS), ("pair 2", Lane.PAIRS), ("request", Lane.REQUESTS)):
        batcher.add(item, lane, 0.0)
    assert [one.item for one in batcher.take()] == ["request", "pair 1"]


def test_what_is_dropped_neither_is_taken_nor_makes_anything_due() -> None:
    batcher: Batcher[int] = Batcher(max_size=3, max_wait_s=WAIT_S)
    for number in range(3):
        batcher.add(number, Lane.PAIRS, 0.0)
    batcher.drop(lambda number: number != 1)
    assert not batcher.due(0.5)
    assert [one.item for one in batcher.take()] == [1]
    assert batcher.due_at_s() is None
    assert batcher.take() == []


@given(st.lists(st.integers(), min_size=2))
def test_halves_are_both_smaller_and_together_the_whole(items: list[int]) -> None:
    first, second = halves(items)
    assert [*first, *second] == items
    assert 1 <= len(first) < len(items)
    assert 1 <= len(second) < len(items)
