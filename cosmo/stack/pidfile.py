"""Pid files that cannot hit a stranger: a pid is trusted only together with the time at which its process started."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

_CLOCK_STEP_S = 5.0
"""psutil derives start times from the boot time, which moves when the wall clock is stepped. For a stranger to pass,
the whole pid space would have to be used up within this time of the original's start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PidRecord:
    """A process of ours: ``started_at_s`` is its start as seconds since the epoch."""

    pid: int
    started_at_s: float

    @classmethod
    def of(cls, pid: int) -> PidRecord:
        """The record of a process that runs now. Raises psutil.NoSuchProcess."""
        return cls(pid=pid, started_at_s=psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The process, if it still runs and is the recorded one; a zombie does not run."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_at_s) < _CLOCK_STEP_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def write(path: Path, record: PidRecord) -> None:
    """Replaces the file at once, so that a reader never sees half of it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(record)))
    fresh.replace(path)


def read(path: Path) -> PidRecord | None:
    """What the file says, or None when there is no file or it is not ours (then nothing may be killed by it)."""
    try:
        fields = json.loads(path.read_text())
        return PidRecord(pid=int(fields["pid"]), started_at_s=float(fields["started_at_s"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
