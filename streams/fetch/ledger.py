"""Which offsets may be committed: a pure ledger of the fetches delivered and not yet committed, one per partition.

Faust's own gap tracking cannot do it here: it takes the offsets between two delivered fetches for a gap that includes
the fetch's own offset, commits one fetch per interval, and lets an out-of-order ack commit past an unacked fetch.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from streams.fetch.budget import Lease


@dataclass(slots=True, eq=False)
class Entry:
    """One delivered fetch. Compared by identity: the same offsets delivered again are another entry."""

    last_offset: int
    delivered_s: float
    lease: Lease | None = None
    """Of its records' memory, until it is acked or no longer ours."""
    acked: bool = False


@dataclass(slots=True)
class Ledger:
    """Entries of one partition in the order delivered.

    Invariant: `committable` is one past the last offset of the longest prefix of entries that are all acked, so
    no offset is ever committed while a fetch before it is in flight, in whatever order acks come. After `clear`
    (seek, revocation) acks of entries delivered before it change nothing: their offsets will be delivered again.
    """

    _entries: deque[Entry] = field(default_factory=deque)
    _acked_up_to: int | None = None
    _committed: int | None = None

    def deliver(self, last_offset: int, now_s: float, lease: Lease | None = None) -> Entry:
        """Note a fetch that is being handed over. Offsets must rise; a fetch may start after a hole."""
        if self._entries and last_offset <= self._entries[-1].last_offset:
            raise ValueError(f"offset {last_offset} delivered after {self._entries[-1].last_offset}")
        entry = Entry(last_offset, now_s, lease)
        self._entries.append(entry)
        return entry

    def ack(self, entry: Entry) -> None:
        """Everything in the entry has ended: confirmed by the sinks or dead-lettered."""
        entry.acked, entry.lease = True, None
        while self._entries and self._entries[0].acked:
            self._acked_up_to = self._entries.popleft().last_offset + 1

    def committable(self) -> int | None:
        """The offset to commit next, or None when there is nothing new. Stays until `committed` confirms it."""
        if self._acked_up_to is None or self._acked_up_to == self._committed:
            return None
        return self._acked_up_to

    def committed(self, offset: int) -> None:
        """The broker has accepted this offset."""
        self._committed = offset

    def clear(self) -> None:
        """The position was moved or the partition lost: forget what is in flight and what was not committed."""
        for entry in self._entries:
            entry.lease = None  # an event may hold the entry for long
        self._entries.clear()
        self._acked_up_to = self._committed = None

    @property
    def in_flight(self) -> int:
        return len(self._entries)

    def oldest_unacked_s(self, now_s: float) -> float:
        """Age of the oldest fetch in flight, 0 when there is none. When it grows, commits stand still."""
        return now_s - self._entries[0].delivered_s if self._entries else 0.0
