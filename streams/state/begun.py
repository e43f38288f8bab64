"""Tells a state that was lost from one that never was.

A partition may have commits and no segments: its blocks held nothing to keep, or all of it has expired. So whoever
loads a partition leaves a note beside the segments before he works on its blocks, and nothing ever removes it. Where
blocks are committed and not even the note is there, the log was emptied, and counting would begin again from nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from cosmo.runtime.errors import StopWorker
from schemas.records import SampleState
from streams.blocks import to_ipc
from streams.state.partition import SCHEMAS
from streams.state.segments import LAYOUT

if TYPE_CHECKING:
    from streams.state.log import SegmentStore, Stored

KEY = "begun"
"""Of the note; segments have other keys."""

Lost = Callable[[], Awaitable[StopWorker | None]]
"""What to raise of a partition where nothing is stored; None if no block was committed that is still there to count."""


def note() -> SampleState:
    """A segment without rows, which also a program reads that knows nothing of notes."""
    return SampleState(layout=LAYOUT, table="heads", rows=to_ipc(SCHEMAS["heads"].to_frame()))


async def noted(store: SegmentStore, partition: int, stored: Sequence[Stored], lost: Lost) -> Sequence[Stored]:
    """What is stored, once the note is there. Raises what ``lost`` returns, if that is right."""
    if not stored and (error := await lost()) is not None:
        stored = await store.read(partition)  # a commit that was seen comes after a note, which this reading sees
        if not stored:
            raise error
    if not any(one.key == KEY for one in stored):
        await store.put(partition, KEY, note())
    return stored
