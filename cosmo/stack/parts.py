"""What a part of the local stack is: something with an address that can be prepared, started, asked and stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

from cosmo.runtime.deadline import Deadline
from cosmo.stack.child import Child, stop_all
from cosmo.stack.errors import DiskFullError, PartFailedError
from cosmo.stack.ports import check_free

Say = Callable[[str], None]
"""Takes a short phrase about what takes long ("downloading … once")."""


class Name(StrEnum):
    """The four parts, by the names that the command line and the log files use."""

    KAFKA = "kafka"
    REGISTRY = "registry"
    VALKEY = "valkey"
    MODEL = "model"


class Part(Protocol):
    """Calls come in this order, from one thread except ``prepare``: check_startable, prepare, start, ready until True,
    stop."""

    name: Name
    label: str
    """What a person calls it, at the start of a sentence."""

    @property
    def address(self) -> str:
        """What a client connects to; without credentials."""

    @property
    def children(self) -> Sequence[Child]:
        """Its processes; empty when it is somebody else's."""

    def check_startable(self) -> None:
        """Raises PortTakenError, before anything is downloaded, when somebody else has a port it needs."""

    def prepare(self, say: Say) -> None:
        """Bring what it is made of. May take minutes and the network the first time; starts nothing that lasts."""

    def start(self) -> None:
        """Start what does not run. Returns at once. Raises PortTakenError."""

    def revive(self, child: Child) -> None:
        """Start one of its processes that has died. Returns at once. Raises PortTakenError."""

    def ready(self) -> bool:
        """Ask it once, for a second at most. Raises PartFailedError when there is no use in asking again."""

    def serves(self) -> bool:
        """Whether clients are served, be it without some of its processes. Asks once, for a second at most."""

    def stop(self, deadline: Deadline) -> None:
        """Stop what runs of it, all of it, soon after the deadline at the latest."""


class OwnPart:
    """What the parts that we run ourselves have in common."""

    name: Name
    label: str
    port_setting: str

    @property
    def children(self) -> Sequence[Child]:
        raise NotImplementedError

    @property
    def listens_on(self) -> Sequence[Sequence[int]]:
        """The ports of each child."""
        raise NotImplementedError

    def serves(self) -> bool:
        raise NotImplementedError

    def check_startable(self) -> None:
        for child in self.children:
            self._check_ports(child)

    def start(self) -> None:
        self.check_startable()
        for child in self.children:
            child.start()

    def revive(self, child: Child) -> None:
        self._check_ports(child)
        child.start()

    def _check_ports(self, child: Child) -> None:
        if child.pid is None:
            check_free(self.label, self.listens_on[list(self.children).index(child)], self.port_setting)

    def ready(self) -> bool:
        self.check_running()
        return self.serves()

    def check_running(self) -> None:
        """Raises PartFailedError, or DiskFullError, with the last words of a child that has ended."""
        for child in self.children:
            if child.pid is None:
                raise ended(self.label, child)

    def stop(self, deadline: Deadline) -> None:
        stop_all(self.children, deadline)


def ended(label: str, child: Child) -> PartFailedError | DiskFullError:
    """Why a process that should run does not, by what it has written since its start."""
    if child.disk_was_full():
        return DiskFullError(f"{label} stopped: its disk is full.", advice="Free some space and start again.")
    words = child.last_words()
    reason = f": {words}" if words else "."
    return PartFailedError(f"{label} stopped{reason}", advice=f"Its log is {child.log}.")
