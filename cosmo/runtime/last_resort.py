"""The end of a process whose stop hangs: a thread that waits for brokers that are gone would keep it alive for ever,
and whoever starts it again would wait with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from cosmo.runtime import logs

log = logs.get(__name__)


class LastResort:
    """Ends the process at once when it is still there ``after_s`` seconds from the first `arm`.

    Nothing is lost by that: what was not committed comes again. ``end`` gets `exit_code`.
    """

    def __init__(self, after_s: float, *, end: Callable[[int], None] = os._exit) -> None:
        self.exit_code = 1
        self._after_s = after_s
        self._end = end
        self._timer: threading.Timer | None = None

    def arm(self) -> None:
        """The stop has begun. Later calls change nothing."""
        if self._timer is None:
            self._timer = threading.Timer(self._after_s, self._finish)
            self._timer.daemon = True  # it keeps nothing alive
            self._timer.start()

    def _finish(self) -> None:
        log.error("the stop hangs; ending the process", after_s=self._after_s, exit_code=self.exit_code)
        self._end(self.exit_code)
