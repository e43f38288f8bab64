"""One time budget shared by every blocking call of a shutdown or a batch, so that their sum is bounded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant on a monotonic clock. ``remaining_s`` never goes below zero, so it can be passed on as a timeout."""

    at_s: float
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)

    @classmethod
    def after(cls, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> Deadline:
        return cls(clock() + seconds, clock)

    @property
    def remaining_s(self) -> float:
        return max(0.0, self.at_s - self.clock())

    @property
    def expired(self) -> bool:
        return self.remaining_s == 0.0
