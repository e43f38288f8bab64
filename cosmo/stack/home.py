"""Where the local stack keeps its files: ``data``, ``logs``, ``run`` (pid files, lock) and ``cache`` (jars, model)."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cosmo.stack.errors import DiskFullError, HomeBusyError, StackError


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The directories of one stack. Stacks of one and of three brokers have separate data, because a KRaft quorum
    cannot change its size by being restarted; everything else is shared."""

    root: Path
    cache: Path
    data: Path

    @classmethod
    def at(cls, root: Path, *, brokers: int = 1, cache: Path | None = None) -> Home:
        """Paths are absolute, because the parts run in other directories. ``cache`` may be shared between homes."""
        root = root.absolute()
        data = root / ("data" if brokers == 1 else f"data-{brokers}-brokers")
        return cls(root=root, cache=(cache or root / "cache").absolute(), data=data)

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    def create(self, *, min_free_bytes: int) -> None:
        """Make the directories. Raises DiskFullError before anything is made or started on a disk without room.

        Jars, their unpacked registry and the model take 0.5 GB, a demonstration's logs and topics another 0.5 GB: on
        a disk with less, Kafka would stop in the middle of the work instead of us stopping before it.
        """
        with disk_errors(self.root):
            free = free_bytes(next(one for one in (self.root, *self.root.parents) if one.exists()))
            if free < min_free_bytes:
                what = f"Only {free / 1e9:.1f} GB are free on the disk of {self.root}; the local stack needs"
                raise DiskFullError(f"{what} {min_free_bytes / 1e9:.1f} GB.", advice=_MORE_ROOM)
            for directory in (self.data, self.logs, self.run, self.cache):
                directory.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home for this process: the kernel lets go of it when the process ends, however it ends."""
        with disk_errors(self.root):
            self.run.mkdir(parents=True, exist_ok=True)
        with (self.run / "stack.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise _busy(self.root, lock) from error
            with disk_errors(self.root):
                lock.truncate(0)
                lock.write(str(os.getpid()))
                lock.flush()
            yield


_MORE_ROOM = "Free some space, or set COSMO_HOME to a directory on a larger disk."


@contextmanager
def disk_errors(root: Path) -> Iterator[None]:
    """Translate what the file system refuses below ``root`` into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(f"The disk of {root} is full.", advice=_MORE_ROOM) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}:
            what = f"Cannot write to {error.filename or root}: {error.strerror}."
            raise StackError(what, advice="Set COSMO_HOME to a directory of your own.") from error
        raise


def free_bytes(directory: Path) -> int:
    """What may still be written to the disk of an existing directory."""
    return shutil.disk_usage(directory).free


def _busy(root: Path, lock: IO[str]) -> HomeBusyError:
    lock.seek(0)
    holder = lock.read().strip() or "unknown"
    return HomeBusyError(
        f"The stack in {root} belongs to the running process {holder}.",
        advice="Stop that first (Ctrl-C in its terminal), or set COSMO_HOME to another directory.",
    )
