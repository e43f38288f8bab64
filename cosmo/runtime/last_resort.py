"""The end of a process whose stop hangs: a thread that waits for brokers that are gone would keep it alive for ever,
and whoever starts it again would wait with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from cosmo.runtime import logs

log = logs.get(__name__)


class LastResort:
    """Ends the process at once when it is still there ``after_s`` seconds from the first `arm`, or ``exit_s`` after
    `settled`.

    Nothing is lost by that: what was not committed comes again. ``end`` gets `exit_code`.
    """

    def __init__(self, after_s: float, *, exit_s: float = 1.0, end: Callable[[int], None] = os._exit) -> None:
        self.exit_code = 1
        self._after_s = after_s
        self._exit_s = exit_s
        self._end = end
        self._timer: threading.Timer | None = None
        self._settled = False

    def arm(self) -> None:
        """The stop has begun. Later calls change nothing."""
        if self._timer is None:
            self._start(self._after_s)

    def settled(self) -> None:
        """The stop has come to its end: all is finished, committed and confirmed. Threads that still wait for brokers
        have nothing more to do, and who leaves them behind leaves nothing undone."""
        if self._timer is not None:
            self._timer.cancel()
        self.exit_code, self._settled = 0, True
        self._start(self._exit_s)

    def _start(self, after_s: float) -> None:
        self._timer = threading.Timer(after_s, self._finish)
        self._timer.daemon = True  # it keeps nothing alive
        self._timer.start()

    def _finish(self) -> None:
        if self._settled:
            log.info("stopped; a thread that waits for a server is left behind")
        else:
            log.error("the stop hangs; ending the process", after_s=self._after_s, exit_code=self.exit_code)
        self._end(self.exit_code)
