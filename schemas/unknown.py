"""Schema ids that the registry does not know: remembered for a while, and asked for only so often.

Damaged records carry ids at random, each perhaps another. Were the registry asked for every one of them, a flood of
junk would stand between a worker and its good records for as long as the requests take.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.framing import SchemaKey

UNKNOWN_FOR_S = 30.0
"""How long an unknown id stays unknown without asking again; a producer may register it in a moment."""
BURST = 300
"""Unknown ids that may be asked for at once: half a second on a registry that answers in 2 ms."""
PER_S = 10.0
"""And how many a second in the long run."""


@dataclass(slots=True)
class Unknown:
    """Pure but for the clock that it is given; safe to use from several threads. Never holds more than
    BURST + PER_S · UNKNOWN_FOR_S ids, as each that it holds was asked for."""

    clock: Callable[[], float] = time.monotonic
    _until: dict[SchemaKey, float] = field(default_factory=dict)
    """In the order in which they were found unknown, so the first are the oldest."""
    _left: float = BURST
    _counted_s: float = -float("inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __contains__(self, key: SchemaKey) -> bool:
        with self._lock:
            return self._until.get(key, 0.0) > self.clock()

    def add(self, key: SchemaKey) -> None:
        """The registry was asked, and does not know it."""
        with self._lock:
            now_s = self._refill()
            self._left -= 1.0
            self._until.pop(key, None)
            self._until[key] = now_s + UNKNOWN_FOR_S
            while next(iter(self._until.values())) <= now_s:
                del self._until[next(iter(self._until))]

    @property
    def may_ask(self) -> bool:
        """Whether one more id may be asked for that may be unknown."""
        with self._lock:
            self._refill()
            return self._left >= 1.0

    def __len__(self) -> int:
        return len(self._until)

    def _refill(self) -> float:
        now_s = self.clock()
        self._left = min(BURST, self._left + max(0.0, now_s - self._counted_s) * PER_S)
        self._counted_s = now_s
        return now_s
