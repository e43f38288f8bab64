"""When a process that has died is started again: the rule for workers, parts of the stack and the look-up API. Pure."""

from __future__ import annotations

from dataclasses import dataclass

PAUSE_S = (1.0, 30.0)
"""Pause before the first restart, doubled for each further death in a row up to the second."""
SETTLED_S = 60.0
"""Who has run for so long begins anew: its next death is a first one."""
MOST_DEATHS = 5
"""In a row. What a person has to mend (a full disk, a damaged file) does not mend itself in more attempts."""


@dataclass(slots=True)
class Restarts:
    """The deaths of one process that began at ``began_s`` on a monotonic clock."""

    began_s: float
    deaths: int = 0
    """In a row."""
    _due_s: float | None = None

    def died(self, now_s: float) -> float | None:
        """The process does not run: the pause before its restart, once for each death, and None from then on."""
        if self._due_s is not None:
            return None
        self.deaths = self.deaths + 1 if now_s - self.began_s < SETTLED_S else 1
        pause_s = min(PAUSE_S[1], PAUSE_S[0] * 2.0 ** (self.deaths - 1))
        self._due_s = now_s + pause_s
        return pause_s

    def due(self, now_s: float) -> bool:
        """Whether the pause is over."""
        return self._due_s is not None and now_s >= self._due_s

    def began(self, now_s: float) -> None:
        """It was started again."""
        self.began_s, self._due_s = now_s, None
