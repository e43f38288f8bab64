"""The local stack as one thing: four parts started together, ready together, and stopped within one deadline."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum

from pydantic import SecretStr

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.settings import Settings
from cosmo.stack import state
from cosmo.stack.child import Child, stop_all
from cosmo.stack.errors import PartFailedError, PartUnreachableError
from cosmo.stack.external import ExternalPart, replaced
from cosmo.stack.home import Home, disk_errors
from cosmo.stack.kafka import KafkaPart
from cosmo.stack.model import ModelPart
from cosmo.stack.parts import Name, Part
from cosmo.stack.ports import Ports
from cosmo.stack.prepare import prepare_all
from cosmo.stack.registry import RegistryPart
from cosmo.stack.valkey import ValkeyPart

READY_S = 180.0
"""All parts together are ready in 5 s on two idle cores; three brokers on a machine with ten times the work that it has
cores for took more than 60. A part that has ended is noticed at once and not waited for."""
STOP_S = 20.0
UNDO_S = 3.0
"""For those that an interrupted start has started. A Kafka that is still starting would take its time to stop, and none
of them holds anything yet that a SIGKILL could damage."""
_POLL_S = 0.1

EVERYTHING = frozenset(Name)


class Phase(StrEnum):
    """Where a part is on its way."""

    PREPARING = "preparing"
    STARTING = "starting"
    READY = "ready"
    FURNISHED = "furnished"
    """It holds what work needs before it begins (see `cosmo.stack.furnish`)."""


Progress = Callable[[Name, Phase, str], None]
"""Told of each step of a part, with a detail (what is downloaded, the address). Calls come from several threads."""


def silent(_name: Name, _phase: Phase, _detail: str) -> None:
    """Progress for those who do not look."""


class Stack:
    """The parts of one home directory. Those whose variable is set in the environment are only asked, never started.

    ``tied``: the parts die with this process, even if it is killed with SIGKILL. Otherwise they outlive it and another
    process stops them by their pid files. Use it from one thread; hold ``home.locked()`` around start and stop.
    """

    def __init__(self, settings: Settings, *, home: Home, ports: Ports, tied: bool) -> None:
        self.settings = settings
        self.home = home
        self.ports = ports
        self.tied = tied
        own: dict[Name, Part] = {
            Name.KAFKA: KafkaPart(home, ports=ports, tied=tied),
            Name.REGISTRY: RegistryPart(home, port=ports.registry, tied=tied),
            Name.VALKEY: ValkeyPart(home, port=ports.redis, tied=tied),
            Name.MODEL: ModelPart(home, port=ports.lm, tied=tied),
        }
        self._own = own
        self.parts: dict[Name, Part] = own | replaced(settings)

    @classmethod
    @contextmanager
    def running(
        cls,
        settings: Settings,
        *,
        home: Home,
        ports: Ports,
        names: Collection[Name] = EVERYTHING,
        progress: Progress = silent,
    ) -> Iterator[Stack]:
        """A stack that lives as long as the ``with`` block, and in no case longer than this process."""
        home.create(min_free_bytes=settings.min_free_bytes)
        with home.locked():
            stack = cls(settings, home=home, ports=ports, tied=True)
            stack.stop(Deadline.after(STOP_S))  # what a killed run may have left where nothing ties children
            try:
                stack.start(names, progress=progress)
                yield stack
            finally:
                stack.stop(Deadline.after(STOP_S))

    def start(
        self, names: Collection[Name] = EVERYTHING, *, progress: Progress = silent, ready_s: float = READY_S
    ) -> None:
        """Start the named parts together; return when all are ready. May be called again, for others or after a kill.

        1. Look whether the ports are free. 2. Prepare: downloads and formatting, in parallel. 3. Start all. 4. Ask
        until each is ready. When it fails or is interrupted, what it has started is stopped. Raises StackError.
        """
        parts = [part for name, part in self.parts.items() if name in names]
        self.check_startable(names)
        with disk_errors(self.home.root):
            state.save(self.home.run, state.State(ports=self.ports, tied=self.tied))
        with self.kept_only_if_all_goes_well():
            prepare_all(parts, lambda part, detail: progress(part.name, Phase.PREPARING, detail))
            for part in parts:
                progress(part.name, Phase.STARTING, part.address)
                part.start()
            _await_ready(parts, Deadline.after(ready_s), Deadline.after(self.settings.external_wait_s), progress)

    def check_startable(self, names: Collection[Name] = EVERYTHING) -> None:
        """Changes nothing. Raises PortTakenError when somebody else has a port that one of the named parts needs."""
        for name, part in self.parts.items():
            if name in names:
                part.check_startable()

    @contextmanager
    def kept_only_if_all_goes_well(self) -> Iterator[None]:
        """When the block fails or is interrupted, whatever started in it is stopped; what ran before stays."""
        idle = [child for child in self.children if not child.pid]
        with ExitStack() as undo:
            undo.callback(_stop, idle)
            yield
            undo.pop_all()

    def stop(self, deadline: Deadline) -> None:
        """Stop every process of ours, all at once; none of them is left soon after the deadline.

        Ctrl-C is held back meanwhile: an impatient second one would leave what was not stopped yet.
        """
        with _no_interrupt():
            stop_all(self.children, deadline)
            state.forget(self.home.run)

    @property
    def children(self) -> list[Child]:
        """Our processes; also those of a part that the environment has come to replace since it was started."""
        return [child for part in self._own.values() for child in part.children]

    @property
    def kafka(self) -> KafkaPart:
        """Our own Kafka, node by node. Raises PartUnreachableError when the environment names another."""
        part = self.parts[Name.KAFKA]
        if not isinstance(part, KafkaPart):
            raise PartUnreachableError("Kafka is not ours to handle.", advice="Unset KAFKA_BOOTSTRAP_SERVERS.")
        return part

    @property
    def topic_replication(self) -> int:
        """As many replicas as our brokers allow, three at most; on somebody else's Kafka what the settings say."""
        part = self.parts[Name.KAFKA]
        return min(3, len(part.nodes)) if isinstance(part, KafkaPart) else self.settings.topic_replication

    @property
    def kafka_bootstrap_servers(self) -> str:
        return self._url(Name.KAFKA, self.settings.kafka_bootstrap_servers)

    @property
    def schema_registry_url(self) -> str:
        return self._url(Name.REGISTRY, self.settings.schema_registry_url)

    @property
    def redis_url(self) -> str:
        return self._url(Name.VALKEY, self.settings.redis_url.get_secret_value())

    @property
    def lm_url(self) -> str:
        return self._url(Name.MODEL, self.settings.lm_url)

    def connected(self, **changes: object) -> Settings:
        """The settings with this stack's addresses in them, and with further ``changes`` by field name."""
        return self.settings.model_copy(
            update={
                "kafka_bootstrap_servers": self.kafka_bootstrap_servers,
                "schema_registry_url": self.schema_registry_url,
                "redis_url": SecretStr(self.redis_url),
                "lm_url": self.lm_url,
                "home": self.home.root,
                "topic_replication": self.topic_replication,
                **changes,
            }
        )

    def env(self) -> dict[str, str]:
        """The variables that point a child process at this stack; credentials of replaced parts included."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap_servers,
            "SCHEMA_REGISTRY_URL": self.schema_registry_url,
            "REDIS_URL": self.redis_url,
            "COSMO_LM_URL": self.lm_url,
            "COSMO_HOME": str(self.home.root),
            "COSMO_TOPIC_REPLICATION": str(self.topic_replication),
        }

    def _url(self, name: Name, replaced_by: str) -> str:
        part = self.parts[name]
        return replaced_by if isinstance(part, ExternalPart) else part.address


def _stop(children: list[Child]) -> None:
    with _no_interrupt():
        stop_all(children, Deadline.after(UNDO_S))


@contextmanager
def _no_interrupt() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _await_ready(parts: list[Part], deadline: Deadline, external: Deadline, progress: Progress) -> None:
    waiting = list(parts)
    while waiting:
        for part in [part for part in waiting if part.ready()]:
            waiting.remove(part)
            progress(part.name, Phase.READY, part.address)
        for part in waiting:
            _check_deadline(part, deadline, external)
        if waiting:
            time.sleep(_POLL_S)


def _check_deadline(part: Part, deadline: Deadline, external: Deadline) -> None:
    if isinstance(part, ExternalPart):
        if not external.expired:
            return
        raise PartUnreachableError(
            f"{part.label} does not answer at {part.address}, where {part.variable} says it is.",
            advice=f"Start it there, or unset {part.variable} to let Cosmo run one.",
        )
    if deadline.expired:
        logs = ", ".join(str(child.log) for child in part.children)
        raise PartFailedError(
            f"{part.label} did not become ready at {part.address} in time.",
            advice=f"Is the machine overloaded? Its log: {logs}." if logs else "",
        )
