"""Micro-batches: up to N prompts, or what is there T seconds after the first. Pure; it is told what time it is.

A batch is put together when it is taken, not when its prompts arrive: while the server is busy or away, what is urgent
overtakes what waits. Prompts are not sorted by template: a server that shares a prefix between sequences needs no
help, and one that does not computes it once for each sequence that starts at the same time (docs/adr/0006).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Lane(IntEnum):
    """Who waits; lower goes first."""

    REQUESTS = 0
    """A reader waits for the answer."""
    PAIRS = 1


@dataclass(frozen=True, slots=True)
class Waiting(Generic[T]):
    """Something in a lane, and since when."""

    item: T
    since_s: float


@dataclass(slots=True)
class Batcher(Generic[T]):
    """The prompts that wait, and when a batch of them is due.

    Invariants: everything added is taken exactly once, or dropped; within a lane in the order added, a lower lane
    before a higher; a batch is never larger than ``max_size``. The deadline is that of whatever has waited longest:
    what arrives later does not move it.
    """

    max_size: int
    max_wait_s: float
    _lanes: dict[Lane, deque[Waiting[T]]] = field(default_factory=lambda: {lane: deque() for lane in Lane})

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes.values())

    def waiting(self, lane: Lane) -> int:
        return len(self._lanes[lane])

    def add(self, item: T, lane: Lane, now_s: float) -> None:
        """Put an item at the end of its lane. ``now_s`` never goes back."""
        self._lanes[lane].append(Waiting(item, now_s))

    def due_at_s(self) -> float | None:
        """When a batch must be taken at the latest; None while nothing waits."""
        heads = [lane[0].since_s for lane in self._lanes.values() if lane]
        return min(heads) + self.max_wait_s if heads else None

    def due(self, now_s: float) -> bool:
        """Whether to take a batch now: one is full, or somebody has waited long enough."""
        due_at_s = self.due_at_s()
        return due_at_s is not None and (len(self) >= self.max_size or now_s >= due_at_s)

    def take(self) -> list[Waiting[T]]:
        """The next batch; empty when nothing waits."""
        taken: list[Waiting[T]] = []
        for lane in Lane:
            waiting = self._lanes[lane]
            taken += [waiting.popleft() for _ in range(min(self.max_size - len(taken), len(waiting)))]
        return taken

    def drop(self, unwanted: Callable[[T], bool]) -> None:
        """Forget what nobody waits for any more."""
        for lane, waiting in self._lanes.items():
            self._lanes[lane] = deque(one for one in waiting if not unwanted(one.item))


def halves(items: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """Both non-empty when there are at least two."""
    middle = len(items) // 2
    return items[:middle], items[middle:]
