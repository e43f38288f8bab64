"""Times a consumer from inside its process, from its first record to its last, and prints one JSON line.

Needs only the standard library and psutil, because peers run in environments of their own.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

import psutil


@dataclass(slots=True)
class Meter:
    """Counts records until there are ``wanted``; the clock starts with the first of them."""

    wanted: int
    count: int = 0
    _process: psutil.Process = field(default_factory=psutil.Process)
    _began_s: float = 0.0
    _began_cpu_s: float = 0.0

    def begin(self) -> None:
        """The first records are here. Later calls change nothing."""
        if not self._began_s:
            self._began_s, self._began_cpu_s = time.perf_counter(), self._cpu_s()

    def add(self, count: int) -> bool:
        """Records that have been dealt with; True when all have."""
        self.count += count
        return self.count >= self.wanted

    def report(self) -> str:
        """The measurement as a JSON line. Call it at the moment the last record has been dealt with."""
        seconds, cpu_s = time.perf_counter() - self._began_s, self._cpu_s() - self._began_cpu_s
        return json.dumps({"count": self.count, "seconds": seconds, "cpu_s": cpu_s})

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system
