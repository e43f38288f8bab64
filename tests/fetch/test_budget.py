"""What is unpacked is counted while somebody holds it, whoever lets it go and however."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from streams.fetch.budget import Lease, MemoryBudget
from streams.fetch.ledger import Ledger


@given(st.lists(st.integers(1, 100) | st.none(), max_size=30), st.integers(1, 200))
def test_what_is_held_is_the_sum_of_the_leases_and_there_is_room_below_the_bound(
    steps: list[int | None], bound: int
) -> None:
    budget, held = MemoryBudget(bound), list[tuple[int, Lease]]()
    for size in steps:
        if size is not None:
            held.append((size, budget.lease(size)))
        elif held:
            held.pop(0)
        assert budget.held_bytes == sum(size for size, _ in held)
        assert budget.has_room is (budget.held_bytes < bound)


def test_a_lease_may_end_in_another_thread() -> None:
    budget = MemoryBudget(1)
    held = [budget.lease(5)]
    ending = threading.Thread(target=held.clear)
    ending.start()
    ending.join(10.0)
    assert budget.has_room


def test_a_lease_ends_with_the_ack_of_the_last_fetch_that_shares_it() -> None:
    """Though one acked out of order stays in the ledger, and an event holds its entry for long."""
    budget, ledger = MemoryBudget(1), Ledger()
    shared = budget.lease(5)
    first, second = (ledger.deliver(offset, 0.0, shared) for offset in (9, 19))
    del shared
    ledger.ack(second)
    assert not budget.has_room
    ledger.ack(first)
    assert budget.has_room
    assert second.acked


def test_a_lease_ends_when_the_partition_is_no_longer_ours() -> None:
    budget, ledger = MemoryBudget(1), Ledger()
    entry = ledger.deliver(9, 0.0, budget.lease(5))
    ledger.clear()
    assert budget.has_room
    assert not entry.acked
