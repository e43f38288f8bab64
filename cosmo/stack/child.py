"""One process that this project starts: its log, its pid file, and how it is stopped within a deadline."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from cosmo.runtime.deadline import Deadline
from cosmo.stack import pidfile, spawner
from cosmo.stack.home import Home, disk_errors, free_bytes
from cosmo.stack.last_words import last_words

_LOG_BYTES = 32 * 1024 * 1024
"""A log larger than this is set aside (one old log is kept) when its process starts again."""
_NO_SPACE = b"No space left on device"
_TOO_LITTLE_BYTES = 1024 * 1024


class Child:
    """A process by name: started by this object, or found by the pid file that another process of ours left.

    ``tied`` children die with this process, even if it is killed with SIGKILL; the others outlive it.
    Not thread-safe: one thread starts and stops a child.
    """

    def __init__(self, *, name: str, command: Callable[[], Sequence[str]], home: Home, tied: bool) -> None:
        self.name = name
        self.tied = tied
        self._command = command
        self.log = home.logs / f"{name}.log"
        self._pid_file = home.run / f"{name}.pid"
        self._popen: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The running process, or None."""
        process = self.process()
        return process.pid if process else None

    def process(self) -> psutil.Process | None:
        """The running process; one that ended is reaped on the way."""
        if self._popen is None:
            record = pidfile.read(self._pid_file)
            return record.process() if record else None
        return psutil.Process(self._popen.pid) if self._popen.poll() is None else None

    def start(self) -> None:
        """Start the process, unless it runs already. Returns at once; readiness is asked of the part. Raises
        DiskFullError."""
        if self.process() is None:
            spawner.call(self._spawn)

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal (SIGKILL, SIGSTOP…) if the process runs."""
        if process := self.process():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal_number)

    def kill(self) -> None:
        """SIGKILL, and wait until the kernel has taken it away."""
        self.send(signal.SIGKILL)
        self.wait(Deadline.after(10))

    def wait(self, deadline: Deadline) -> bool:
        """Wait for the end; False when the deadline came first. The pid file goes with the process."""
        process = self.process()
        try:
            if self._popen is not None:
                self._popen.wait(deadline.remaining_s)
            elif process is not None:
                process.wait(deadline.remaining_s)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            return False
        self._pid_file.unlink(missing_ok=True)
        return True

    def last_words(self) -> str:
        """The line of the log since the last start that best says why the process ended."""
        return last_words(self._said().decode("utf-8", "replace"))

    def disk_was_full(self) -> bool:
        """Whether it complained of that since the last start, or there was no room left for complaining."""
        return _NO_SPACE in self._said() or free_bytes(self.log.parent) < _TOO_LITTLE_BYTES

    def _said(self) -> bytes:
        with suppress(FileNotFoundError), self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read()
        return b""

    def _spawn(self) -> None:
        with disk_errors(self.log.parent):
            _set_aside(self.log)
            with self.log.open("ab") as log:
                self._log_start = log.tell()
                self._popen = spawner.popen(self._command(), output=log, tied=self.tied)
            with suppress(psutil.NoSuchProcess):
                pidfile.write(self._pid_file, pidfile.PidRecord.of(self._popen.pid))


def stop_all(children: Sequence[Child], deadline: Deadline) -> None:
    """SIGTERM to all at once, then SIGKILL to those that still run at the deadline; none is left on return."""
    for child in children:
        child.send(signal.SIGCONT)  # a paused process would never see the SIGTERM
        child.send(signal.SIGTERM)
    for child in children:
        if not child.wait(deadline):
            child.kill()


def _set_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.old"))
