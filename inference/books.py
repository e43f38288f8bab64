"""What is open of a partition: the endings of its records, and which of them is a pair's newest."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Books:
    """Of one partition, from its assignment to its revocation. One caller at a time, in the order of the log."""

    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _pairs: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def open(self, ending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run the ending of a record."""
        task = asyncio.create_task(ending)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def open_pair(self, pair_id: str, ending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run the ending of a record that releases the pair."""

        def forget(ended: asyncio.Task[None]) -> None:
            if self._pairs.get(pair_id) is ended:
                del self._pairs[pair_id]

        task = self._pairs[pair_id] = self.open(ending)
        task.add_done_callback(forget)
        return task

    async def settled(self, pair_id: str) -> None:
        """Returns when no earlier release of the pair is open, however it ended. With both at the model, the earlier
        could be answered later, pass for the newer edition, and have its smaller support served for good."""
        if pair_id in self._pairs:
            await asyncio.wait([self._pairs[pair_id]])
