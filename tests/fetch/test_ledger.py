"""The ledger commits everything that ended, and never past something that has not."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.fetch.ledger import Entry, Ledger


def test_nothing_is_committable_before_an_ack() -> None:
    ledger = Ledger()
    ledger.deliver(9, 0.0)
    assert ledger.committable() is None


def test_an_ack_out_of_order_waits_for_the_one_before() -> None:
    ledger = Ledger()
    first, second = ledger.deliver(9, 0.0), ledger.deliver(19, 0.0)
    ledger.ack(second)
    assert ledger.committable() is None
    ledger.ack(first)
    assert ledger.committable() == 20


def test_a_hole_between_fetches_does_not_stop_commits() -> None:
    """Compaction and aborted transactions leave holes; Faust's gap tracking took them for records in flight."""
    ledger = Ledger()
    ledger.ack(ledger.deliver(9, 0.0))
    ledger.ack(ledger.deliver(4711, 0.0))
    assert ledger.committable() == 4712


def test_a_commit_that_the_broker_refused_is_offered_again() -> None:
    ledger = Ledger()
    ledger.ack(ledger.deliver(9, 0.0))
    assert ledger.committable() == 10
    assert ledger.committable() == 10
    ledger.committed(10)
    assert ledger.committable() is None


def test_an_ack_from_before_a_seek_changes_nothing() -> None:
    """A worker that was paused acks a fetch whose offsets were delivered again, cut differently."""
    ledger = Ledger()
    stale = ledger.deliver(19, 0.0)
    ledger.clear()
    ledger.deliver(19, 1.0)
    ledger.ack(stale)
    assert ledger.committable() is None


def test_offsets_that_do_not_rise_are_a_bug() -> None:
    ledger = Ledger()
    ledger.deliver(9, 0.0)
    with pytest.raises(ValueError, match="offset 9 delivered after 9"):
        ledger.deliver(9, 0.0)


def test_the_age_is_that_of_the_oldest_unacked_fetch() -> None:
    ledger = Ledger()
    first = ledger.deliver(9, 10.0)
    ledger.deliver(19, 15.0)
    assert ledger.oldest_unacked_s(16.0) == 6.0
    ledger.ack(first)
    assert ledger.oldest_unacked_s(16.0) == 1.0


class LedgerAgainstTruth(RuleBasedStateMachine):
    """A partition's life: fetches with holes, acks in any order, seeks, restarts, commits that fail or succeed.

    The truth is the set of offsets that ended. No commit may ever pass an offset that exists and has not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.position = 0
        self.committed = 0
        self.in_flight: list[tuple[Entry, range]] = []
        self.stale: list[Entry] = []
        self.ended: set[int] = set()
        self.exists: set[int] = set()

    @rule(hole=st.integers(0, 5), size=st.integers(1, 10))
    def deliver(self, hole: int, size: int) -> None:
        self.exists -= set(range(self.position, self.position + hole))  # compacted away since
        offsets = range(self.position + hole, self.position + hole + size)
        self.exists |= set(offsets)
        self.in_flight.append((self.ledger.deliver(offsets[-1], 0.0), offsets))
        self.position = offsets[-1] + 1

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        entry, offsets = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
        self.ended |= set(offsets)
        self.ledger.ack(entry)

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def ack_late(self, data: st.DataObject) -> None:
        self.ledger.ack(self.stale.pop(data.draw(st.integers(0, len(self.stale) - 1))))

    @rule(accepted=st.booleans())
    def commit(self, accepted: bool) -> None:
        offset = self.ledger.committable()
        if offset is not None and accepted:
            assert offset > self.committed
            self.committed = offset
            self.ledger.committed(offset)

    @rule()
    def seek_to_committed(self) -> None:
        """A rebalance: whatever is in flight comes again, perhaps cut differently and with other holes."""
        self.ledger.clear()
        self.stale += [entry for entry, _ in self.in_flight]
        self.in_flight.clear()
        self.position = self.committed

    @rule()
    def restart(self) -> None:
        self.ledger = Ledger()
        self.stale.clear()
        self.in_flight.clear()
        self.position = self.committed

    @invariant()
    def no_commit_passes_what_has_not_ended(self) -> None:
        offset = self.ledger.committable() or self.committed
        assert all(earlier in self.ended for earlier in self.exists if earlier < offset)

    @invariant()
    def everything_that_ended_in_front_is_committable(self) -> None:
        if not self.in_flight and self.ledger.in_flight == 0 and self.position > self.committed:
            assert self.ledger.committable() == self.position


TestLedgerAgainstTruth = LedgerAgainstTruth.TestCase
