"""Where a partition goes on after a seek to the committed offsets, also when there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from aiokafka.errors import IllegalStateError
from faust.types import TP

from streams.fetch.transport import FetchThread

NEW, READ, DELETED, LOST = (TP("pair-counts", number) for number in range(4))


@dataclass
class SeekingConsumer:
    """As aiokafka: a seek to the committed offsets leaves a partition without commit where it is."""

    committed: dict[TP, int | None]
    positions: dict[TP, int] = field(default_factory=dict)
    taken_away: list[TP] = field(default_factory=list)
    """One after another, each while the committed offsets are looked up."""

    def assignment(self) -> frozenset[TP]:
        return frozenset(self.positions)

    async def seek_to_committed(self) -> dict[TP, int | None]:
        if self.taken_away:
            self.positions.pop(self.taken_away.pop(0))
            raise IllegalStateError("No current assignment for partition")
        committed = {tp: offset for tp, offset in self.committed.items() if tp in self.positions}
        self.positions |= {tp: offset for tp, offset in committed.items() if offset}
        return committed

    async def beginning_offsets(self, partitions: Iterable[TP]) -> dict[TP, int]:
        self.positions.pop(LOST, None)  # a rebalance takes it meanwhile
        return {tp: 40 if tp == DELETED else 0 for tp in partitions}

    def seek(self, tp: TP, offset: int) -> None:
        assert tp in self.positions
        self.positions[tp] = offset


def seeking(consumer: SeekingConsumer) -> FetchThread:
    thread = FetchThread.__new__(FetchThread)
    thread._consumer = consumer
    return thread


async def test_without_a_commit_it_goes_back_to_the_beginning() -> None:
    committed: dict[TP, int | None] = {NEW: None, READ: 7, DELETED: None, LOST: None}
    consumer = SeekingConsumer(committed, positions=dict.fromkeys(committed, 90))
    assert await seeking(consumer)._seek_to_committed() == committed
    assert consumer.positions == {NEW: 0, READ: 7, DELETED: 40}


async def test_a_partition_taken_away_meanwhile_does_not_end_the_process() -> None:
    consumer = SeekingConsumer({READ: 7, LOST: 8}, positions={READ: 90, LOST: 90}, taken_away=[LOST])
    assert await seeking(consumer)._seek_to_committed() == {READ: 7}
    assert consumer.positions == {READ: 7}


async def test_nothing_is_sought_when_all_was_taken_away() -> None:
    consumer = SeekingConsumer({LOST: 8}, positions={LOST: 90}, taken_away=[LOST])
    assert await seeking(consumer)._seek_to_committed() == {}
