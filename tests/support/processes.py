"""What tests ask about processes from outside: which belong to a stack's home, and what they listen on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil


def processes_of(home: Path) -> list[psutil.Process]:
    """Running processes whose environment names ``home``, or that have a file open in it: the parts of its stack,
    however they were started, and the tools and commands around them. (Valkey writes its title over both its command
    line and its environment, but not over its log.)"""
    return [process for process in psutil.process_iter() if _belongs(process, home)]


def until_none_runs(home: Path, *, within_s: float) -> None:
    """Fails with the command lines of those that still run."""
    left = until(lambda: not processes_of(home), within_s=within_s)
    assert left, [" ".join(process.cmdline()) for process in processes_of(home)]


def listening_addresses(home: Path) -> set[str]:
    """The addresses on which the processes of ``home`` accept connections."""
    return {address for process in processes_of(home) for address in _listening(process)}


def until(condition: Callable[[], bool], *, within_s: float) -> bool:
    """Whether the condition came true in time; asked ten times a second."""
    stop_at = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > stop_at:
            return False
        time.sleep(0.1)
    return True


def _listening(process: psutil.Process) -> Iterator[str]:
    for connection in process.net_connections("inet"):
        if connection.status == psutil.CONN_LISTEN:
            yield connection.laddr.ip.removeprefix("::ffff:")  # how Java writes an IPv4 address


def _belongs(process: psutil.Process, home: Path) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        named = process.environ().get("COSMO_HOME") == str(home)
        return named or any(file.path.startswith(f"{home}/") for file in process.open_files())
    return False
