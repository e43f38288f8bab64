"""Work beside the main thread whose failure is not lost: it is raised where somebody looks."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Background:
    """A thread that hinders no exit (a broker may keep it waiting) and keeps what broke it."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = work
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def done(self) -> bool:
        """Whether the work has ended. Raises what broke it."""
        if self._failure is not None:
            raise self._failure
        return not self._thread.is_alive()

    def wait(self, timeout_s: float) -> None:
        """Wait for the end at most this long; never raises."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - kept, and raised again by `done`
            self._failure = error
