"""Leaves out what producers have aborted.

A broker that is asked for committed records alone ends its answer before the first transaction that is still open, and
lists those that were aborted; their batches it sends all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from streams.fetch.batches import Batch

Aborted = Sequence[tuple[int, int]]
"""The aborted transactions of a response: (id of the producer, offset of the first record), in any order."""


def committed(batches: Iterable[Batch], aborted: Aborted) -> Iterator[Batch]:
    """The batches of a response in order, each of an aborted transaction emptied: its offsets are passed over.

    A transaction ends at its producer's next control batch. A producer has one transaction at a time, so that whatever
    of its batches comes between an aborted one's first record and that marker is part of it.
    """
    ahead = sorted(aborted, key=lambda one: one[1], reverse=True)
    aborting: set[int] = set()
    for batch in batches:
        while ahead and ahead[-1][1] <= batch.base_offset:
            aborting.add(ahead.pop()[0])
        if batch.producer_id not in aborting:
            yield batch
        elif batch.is_control:
            aborting.discard(batch.producer_id)
            yield batch
        else:
            yield replace(batch, count=0, encoded=b"")
