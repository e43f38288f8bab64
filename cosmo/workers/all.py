"""The four workers as child processes, for a laptop.

One that dies is started again, and what it had not committed comes again with it. One that stopped on purpose (the
dead-letter limit) stops them all, since nothing would change by itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from cosmo.runtime import logs
from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from cosmo.workers.one import PORTS

log = logs.get(__name__)

STOPPED_ON_PURPOSE = 3
"""Exit code of a worker that must not be started again before somebody has acted."""
RESTART_PAUSE_S = (1.0, 30.0)
"""Pause before the first restart, doubled up to the second; a child that ran for a minute begins anew."""


@dataclass(slots=True)
class Child:
    """One worker and how often it has died in a row."""

    process: str
    running: subprocess.Popen[bytes]
    started_s: float
    deaths: int = 0
    due_s: float = 0.0


@dataclass(slots=True)
class Children:
    """Starts the four, watches them, and stops them within one deadline."""

    settings: Settings
    _children: dict[str, Child] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises CosmoError when a worker stopped on purpose."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        try:
            for process in PORTS:
                self._children[process] = Child(process, self._start(process), time.monotonic())
            while not self._stopping.wait(0.2):
                for child in self._children.values():
                    self._look_at(child)
        finally:
            self._stop()

    def _start(self, process: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "cosmo", "worker", process]
        return subprocess.Popen(command, env=os.environ | {"COSMO_TIED_TO_PARENT": "1"}, start_new_session=True)

    def _look_at(self, child: Child) -> None:
        code = child.running.poll()
        if code is None:
            return
        if code == STOPPED_ON_PURPOSE:
            raise CosmoError(f"The {child.process} worker has stopped.", advice="Its last log line says why.")
        now_s = time.monotonic()
        if not child.due_s:
            child.deaths = child.deaths + 1 if now_s - child.started_s < 60.0 else 1
            child.due_s = now_s + min(RESTART_PAUSE_S[1], RESTART_PAUSE_S[0] * 2 ** (child.deaths - 1))
            log.warning("worker died", process=child.process, code=code, restart_in_s=round(child.due_s - now_s))
        elif now_s >= child.due_s:
            child.running, child.started_s, child.due_s = self._start(child.process), now_s, 0.0

    def _stop(self) -> None:
        deadline = Deadline.after(self.settings.shutdown_s + 2.0)
        alive = [child.running for child in self._children.values() if child.running.poll() is None]
        for running in alive:
            running.terminate()
        for running in alive:
            try:
                running.wait(deadline.remaining_s)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
