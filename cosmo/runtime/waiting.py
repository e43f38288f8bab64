"""What this process waits for: told once in the log when a wait begins and once when it ends, and by /healthz and
/metrics as long as it lasts. A dependency that is away is waited for without end: giving up would only restart the
process, to wait again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cosmo.runtime import logs
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.metrics import counter, gauge

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0
"""What is back is noticed within this time; a crowd of processes does not come back at one instant (jitter)."""

log = logs.get(__name__)


class GivenUp(CosmoError):  # noqa: N818 - an outcome, named by what it says
    """The process stops while it waits. What waited is not acked, and comes again after the next start; in this
    process nobody may try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A dependency that does not answer, since when, and the sentence that says why."""

    dependency: str
    age_s: float
    reason: str

    def __str__(self) -> str:
        return f"waits for the {self.dependency} for {self.age_s:.0f} s: {self.reason}"


@dataclass(slots=True)
class Waiting:
    """The waits of a process. Safe to use from several threads."""

    clock: Callable[[], float] = time.monotonic
    _since: dict[str, tuple[float, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def failed(self, dependency: str, reason: str) -> None:
        """An attempt found that the dependency does not answer. The first of a wait begins it."""
        counter("cosmo_waits_total").labels(dependency).inc()
        with self._lock:
            if dependency in self._since:
                return
            self._since[dependency] = self.clock(), reason
        gauge("cosmo_waiting_seconds").labels(dependency).set_function(lambda: self.age_s(dependency))
        log.warning("waiting for a dependency", dependency=dependency, reason=reason)

    def answered(self, dependency: str) -> None:
        """It answers. Ends the wait, if there is one."""
        with self._lock:
            began_s, _ = self._since.pop(dependency, (None, ""))
        if began_s is not None:
            log.info("dependency is back", dependency=dependency, waited_s=round(self.clock() - began_s, 1))

    def age_s(self, dependency: str) -> float:
        """How long it has been waited for; 0 when it is not."""
        with self._lock:
            began_s, _ = self._since.get(dependency, (None, ""))
            return 0.0 if began_s is None else self.clock() - began_s

    def now(self) -> Sequence[Wait]:
        """Every wait, the longest first."""
        with self._lock:
            now_s = self.clock()
            waits = [Wait(dependency=name, age_s=now_s - at, reason=why) for name, (at, why) in self._since.items()]
        return sorted(waits, key=lambda wait: -wait.age_s)


WAITING = Waiting()
"""Those of this process."""


def pause_s(attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """How long to pause after this attempt, counted from 0: a random part of a bound that doubles ("full jitter")."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempt, 16)) * jitter()
