"""Where a partition goes on after a seek to the committed offsets, also when there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from faust.types import TP

from streams.fetch.transport import FetchThread

NEW, READ, DELETED, LOST = (TP("pair-counts", number) for number in range(4))


@dataclass
class SeekingConsumer:
    """As aiokafka: a seek to the committed offsets leaves a partition without commit where it is."""

    committed: dict[TP, int | None]
    positions: dict[TP, int] = field(default_factory=dict)

    def assignment(self) -> frozenset[TP]:
        return frozenset(self.positions)

    async def seek_to_committed(self) -> dict[TP, int | None]:
        self.positions |= {tp: offset for tp, offset in self.committed.items() if offset}
        return self.committed

    async def beginning_offsets(self, partitions: Iterable[TP]) -> dict[TP, int]:
        self.positions.pop(LOST, None)  # a rebalance takes it meanwhile
        return {tp: 40 if tp == DELETED else 0 for tp in partitions}

    def seek(self, tp: TP, offset: int) -> None:
        assert tp in self.positions
        self.positions[tp] = offset


async def test_without_a_commit_it_goes_back_to_the_beginning() -> None:
    committed: dict[TP, int | None] = {NEW: None, READ: 7, DELETED: None, LOST: None}
    consumer = SeekingConsumer(committed, positions=dict.fromkeys(committed, 90))
    thread = FetchThread.__new__(FetchThread)
    thread._consumer = consumer
    assert await thread._seek_to_committed() == committed
    assert consumer.positions == {NEW: 0, READ: 7, DELETED: 40}
