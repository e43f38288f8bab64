"""Starts processes from one thread that lives as long as this process.

A tied child (see `exec_tied`) is killed when the thread that started it ends, so no short-lived thread may start one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from typing import IO, TypeVar

_EXEC_TIED = Path(__file__).with_name("exec_tied.py")
_T = TypeVar("_T")


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="cosmo-spawner")


def call(function: Callable[[], _T]) -> _T:
    """Run ``function`` in the spawner's thread. It runs to its end, and the caller waits for that, even if the caller
    is interrupted: who cleans up must find the process that was just being started."""
    future = _thread().submit(function)
    try:
        return future.result()
    finally:
        wait([future])


def popen(
    command: Sequence[str], *, output: IO[bytes] | int, tied: bool, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start ``command`` in a process group of its own, so that the terminal's Ctrl-C reaches only us.

    ``tied``: it dies with us. Otherwise it gets a session of its own and outlives us. Call this through `call`.
    """
    if tied:
        command = (sys.executable, "-I", "-S", str(_EXEC_TIED), str(os.getpid()), *command)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=env,
        process_group=0 if tied else None,
        start_new_session=not tied,
    )


def run(command: Sequence[str], *, log: Path) -> int:
    """Run a helper program to its end, tied to us, its output appended to ``log``; returns its exit status."""
    with log.open("ab") as output:
        return call(lambda: popen(command, output=output, tied=True)).wait()
