"""What `cosmo stack status` knows of a part."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import psutil

from cosmo.stack.child import Child
from cosmo.stack.parts import OwnPart, Part
from cosmo.stack.ports import LOOPBACK
from cosmo.stack.probes import listens


class Health(StrEnum):
    """READY: all of it answers. DEGRADED: some of its processes have ended, the others serve. SILENT: it runs and does
    not answer. STOPPED: no process of it runs. FOREIGN: none either, and
    something listens at its port all the same: as a rule the part of another home."""

    READY = "ready"
    DEGRADED = "degraded"
    SILENT = "not answering"
    STOPPED = "stopped"
    FOREIGN = "not this home's"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatus:
    """One part. ``pids``, ``ended`` (names of processes that should run and do not), ``rss_bytes`` (resident memory)
    and ``logs`` are empty for a part that is not ours."""

    name: str
    address: str
    ours: bool
    health: Health
    pids: tuple[int, ...]
    ended: tuple[str, ...]
    rss_bytes: int
    logs: tuple[str, ...]


def status_of(part: Part) -> PartStatus:
    """Ask the part and its processes; takes a second at most."""
    processes = [process for child in part.children if (process := child.process())]
    return PartStatus(
        name=part.name,
        address=part.address,
        ours=bool(part.children),
        health=_health(part),
        pids=tuple(process.pid for process in processes),
        ended=tuple(child.name for child in part.children if not child.pid),
        rss_bytes=sum(_rss_bytes(process) for process in processes),
        logs=tuple(str(child.log) for child in part.children),
    )


def rss_bytes(children: list[Child]) -> int:
    """Resident memory of all the processes together."""
    return sum(_rss_bytes(process) for child in children if (process := child.process()))


def _rss_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _health(part: Part) -> Health:
    running = [child for child in part.children if child.pid]
    if part.children and not running:
        return Health.FOREIGN if _somebody_listens(part) else Health.STOPPED
    if not part.serves():
        return Health.SILENT
    return Health.READY if len(running) == len(part.children) else Health.DEGRADED


def _somebody_listens(part: Part) -> bool:
    ports = part.listens_on if isinstance(part, OwnPart) else ()
    return any(listens(LOOPBACK, port) for of_one in ports for port in of_one)
