"""A limit on how many events are sent in a second."""

from __future__ import annotations

from dataclasses import dataclass, field

BURST_S = 0.1
"""How much of a second may be sent at once after a pause: enough to be exact at any rate, too little to be felt."""


@dataclass(slots=True, kw_only=True)
class TokenBucket:
    """Pure: it is told what time it is, and says how long to wait. One token is one event.

    In any window of t seconds at most ``rate_per_s * (t + BURST_S) + 1`` events pass.
    """

    rate_per_s: float
    _tokens: float = 1.0
    _at_s: float | None = field(default=None)

    def take(self, now_s: float) -> float:
        """Take one token; the seconds to wait before its event may go, 0 for none."""
        if self._at_s is not None:
            most = max(1.0, self.rate_per_s * BURST_S)
            self._tokens = min(most, self._tokens + (now_s - self._at_s) * self.rate_per_s)
        self._at_s = now_s
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self.rate_per_s)
