"""A circuit breaker: after some failures in a row nobody asks a server that is away, except one probe now and then.

Pure: it is told what time it is and how long to wait at random, and says who may ask.
"""

from __future__ import annotations

from dataclasses import dataclass

OPENS_AFTER = 3
"""Failures in a row. One lost connection is no reason to hold up the others; three in a row are no accident."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
"""A server that is back is noticed within this time."""


@dataclass(slots=True)
class Breaker:
    """Closed: everybody asks. Open: nobody does, until the pause is over. Then half-open: one probe is let through, and
    its outcome closes the breaker or opens it for a longer pause.

    ``jitter`` in 0..1 is the caller's random figure: a pause is its bound times (1 + jitter) / 2, so that many workers
    do not come back at one instant.
    """

    _failures: int = 0
    _opened: int = 0
    _retry_at_s: float = 0.0
    _probing: bool = False

    @property
    def closed(self) -> bool:
        return self._opened == 0

    def worked(self) -> None:
        """An answer came."""
        self._failures = self._opened = 0
        self._probing = False

    def failed(self, now_s: float, jitter: float) -> None:
        """The server did not answer. While the breaker is open only the probe's outcome counts: what was in flight
        when it opened tells nothing new."""
        self._failures += 1
        if self.closed and self._failures >= OPENS_AFTER:
            self._open(now_s, jitter)

    def trip(self, now_s: float, jitter: float) -> None:
        """A probe failed: open, or stay so for longer."""
        self._probing = False
        self._open(now_s, jitter)

    def may_probe(self, now_s: float) -> bool:
        """Whether the caller is to probe now; True once for each pause."""
        if self.closed or self._probing or now_s < self._retry_at_s:
            return False
        self._probing = True
        return True

    def wait_s(self, now_s: float) -> float:
        """How long until a probe is due; 0 when it is."""
        return max(0.0, self._retry_at_s - now_s)

    def _open(self, now_s: float, jitter: float) -> None:
        self._opened += 1
        bound_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._opened - 1, 16))
        self._retry_at_s = now_s + bound_s * (1.0 + jitter) / 2
