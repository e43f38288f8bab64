"""What the sampler asks of the place where a partition's state is durable; `streams.state.log.SegmentLog` gives it."""

from __future__ import annotations

from typing import Protocol

from streams.state.partition import PartitionState


class Segments(Protocol):
    """Where the state of one partition is durable."""

    async def load(self) -> PartitionState:
        """The state as the log has it."""

    def take(self, state: PartitionState) -> None:
        """Take over what the state gained since the last call; whoever calls holds the state. Runs in a thread."""

    async def write(self) -> None:
        """Write what was taken; returns when that is confirmed. Raises what keeps it from being so."""
