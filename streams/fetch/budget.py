"""One budget of unpacked bytes for a whole process: what is read ahead and in flight, over all partitions.

Batches come compressed and wait compressed. Each may unfold to `streams.fetch.unpack.MOST_BYTES`, and a dozen of them
that are within every limit would be gigabytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

START_BELOW_BYTES = 128 * 1024 * 1024
"""The next batch is unpacked while less than this is held, so at most `streams.fetch.unpack.MOST_BYTES` more than this
ever is. A fetch of 20,000 events has 4 MB and a dozen are under way. Whoever looks at records one by one, as is done
with those that become dead letters, copies them, so that a worker may take twice as much and its send queue."""


class Lease:
    """Bytes that somebody holds. They are given back when nobody does: parts of one fetch share it, and whoever drops
    them, by whatever way, has nothing else to do."""

    __slots__ = ("_give_back", "_held_bytes")

    def __init__(self, held_bytes: int, give_back: Callable[[int], None]) -> None:
        self._held_bytes, self._give_back = held_bytes, give_back

    def __del__(self) -> None:
        self._give_back(self._held_bytes)


class MemoryBudget:
    """Leases are taken in one thread, and may end in any."""

    def __init__(self, start_below_bytes: int = START_BELOW_BYTES) -> None:
        self._start_below_bytes = start_below_bytes
        self._held_bytes = 0
        self._given_back: deque[int] = deque()  # without a lock, which the end of a lease could be waiting for itself

    def lease(self, held_bytes: int) -> Lease:
        """Count so many bytes as held."""
        self._held_bytes += held_bytes
        return Lease(held_bytes, self._given_back.append)

    @property
    def held_bytes(self) -> int:
        while self._given_back:
            self._held_bytes -= self._given_back.popleft()
        return self._held_bytes

    @property
    def has_room(self) -> bool:
        """Whether one more batch may be unpacked, of whatever size. It always may when nothing is held."""
        return self.held_bytes < self._start_below_bytes
