"""A clock for logic that is given one."""

from __future__ import annotations


class ManualClock:
    """Moves when the test says so; seconds."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s
