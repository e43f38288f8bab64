"""The four workers as child processes, for a laptop.

One that dies is started again, and what it had not committed comes again with it. One that stopped on purpose (the
dead-letter limit) stops them all, since nothing would change by itself. None of them outlives this process, even if it
is killed with SIGKILL.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from cosmo.runtime import logs
from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from cosmo.stack import spawner
from cosmo.stack.ports import check_free
from cosmo.stack.restarts import Restarts
from cosmo.workers.one import PORTS

log = logs.get(__name__)

STOPPED_ON_PURPOSE = 3
"""Exit code of a worker that must not be started again before somebody has acted."""

STOPPED = "Stopped: "
"""Begins the line in which such a worker says what happened and what to do."""


@dataclass(slots=True)
class Child:
    """One worker and its deaths. It is started again however often it dies: what it waits for may come back."""

    process: str
    running: subprocess.Popen[bytes]
    restarts: Restarts


@dataclass(slots=True)
class Children:
    """Starts the four, watches them, and stops them within one deadline.

    ``env``: variables that the children get beside ours. ``logs``: a directory for one log file each, which is begun
    anew; without it they write to our standard error. ``nice``: by process, how far it stands back for others.
    """

    settings: Settings
    env: Mapping[str, str] = field(default_factory=dict)
    logs: Path | None = None
    nice: Mapping[str, int] = field(default_factory=dict)
    _children: dict[str, Child] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises CosmoError when a worker stopped on purpose."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        with self.running():
            while not self._stopping.wait(0.2):
                self.look()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The four run as long as the block; call `look` a few times a second within it.

        Raises PortTakenError before any is started: one that finds its port taken would die again and again.
        """
        for process in PORTS:
            check_free(f"The {process} worker", [port_of(process, self.settings)], "COSMO_WORKER_PORT")
        try:
            for process in PORTS:
                self._children[process] = Child(process, self._start(process), Restarts(time.monotonic()))
            yield
        finally:
            self.stop()

    def look(self) -> None:
        """Start again what has died, after a pause. Raises CosmoError when a worker stopped on purpose."""
        for child in self._children.values():
            self._look_at(child)

    @property
    def pids(self) -> list[int]:
        """The processes that run. May be asked from any thread, also while they are being started."""
        return [child.running.pid for child in list(self._children.values()) if child.running.poll() is None]

    def _start(self, process: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "cosmo", "worker", process]
        env = os.environ | {**self.env} | {"COSMO_WORKER_PORT": str(port_of(process, self.settings))}
        with self._output(process) as output:
            running = spawner.call(lambda: spawner.popen(command, output=output, tied=True, env=env))
        if process in self.nice:
            with suppress(OSError):  # it ended at once, which `look` will see
                os.setpriority(os.PRIO_PROCESS, running.pid, self.nice[process])
        return running

    @contextmanager
    def _output(self, process: str) -> Iterator[IO[bytes] | int]:
        if self.logs is None:
            yield sys.stderr.fileno()
            return
        mode = "ab" if process in self._children else "wb"
        with log_of(self.logs, process).open(mode) as file:
            yield file

    def _look_at(self, child: Child) -> None:
        code = child.running.poll()
        if code is None:
            return
        if code == STOPPED_ON_PURPOSE:
            raise self._stopped(child.process)
        now_s = time.monotonic()
        if (pause_s := child.restarts.died(now_s)) is not None:
            what = "worker died" if code else "worker ended"  # somebody asked it to
            log.warning(what, process=child.process, code=code, restart_in_s=round(pause_s))
        elif child.restarts.due(now_s):
            child.running = self._start(child.process)
            child.restarts.began(now_s)

    def _stopped(self, process: str) -> CosmoError:
        """With what the worker said, where it said it to a log; otherwise it stands above, on our standard error."""
        what = f"The {process} worker has stopped."
        if self.logs is None:
            return CosmoError(what, advice=f"What it said above, after “{STOPPED.strip()}”, says why.")
        log_file = log_of(self.logs, process)
        reason = reason_of(log_file.read_text("utf-8", "replace"))
        advice = f"What is set for this command (VARIABLE=value before it) reaches the worker. Its log: {log_file}"
        return CosmoError(f"{what} {reason}" if reason else what, advice=advice)

    def stop(self) -> None:
        """SIGTERM to all, and SIGKILL to those that still run at the deadline; none is left on return."""
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


def port_of(process: str, settings: Settings) -> int:
    """Where a child serves /metrics and /healthz: COSMO_WORKER_PORT names the first one's port, the others follow."""
    return settings.worker_port + list(PORTS).index(process) if settings.worker_port else PORTS[process]


def reason_of(log_text: str) -> str:
    """What a worker that stopped on purpose said last, whatever a library said after it; "" if it said nothing."""
    said = [line for line in log_text.splitlines() if line.startswith(STOPPED)]
    return said[-1].removeprefix(STOPPED) if said else ""


def log_of(directory: Path, process: str) -> Path:
    """Where a worker's log goes."""
    return directory / f"worker-{process}.log"
