"""Ports of the parts: fixed ones for people, free ones for tests, and a clear sentence when one is taken."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

import psutil

from cosmo.runtime.settings import Settings
from cosmo.stack.errors import PortTakenError

LOOPBACK = "127.0.0.1"
_BELOW_EPHEMERAL = range(20_000, 32_000)
"""Free ports come from here: in the ephemeral range (from 32768) an outgoing connection may take one before we do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """One port per listener; broker i listens on ``kafka[i]``, its controller on ``controllers[i]``."""

    kafka: tuple[int, ...]
    controllers: tuple[int, ...]
    registry: int
    redis: int
    lm: int

    @classmethod
    def fixed(cls, settings: Settings, *, brokers: int) -> Ports:
        """The ports that the settings name."""
        first = settings.kafka_port
        return cls(
            kafka=tuple(range(first, first + 2 * brokers, 2)),
            controllers=tuple(range(first + 1, first + 1 + 2 * brokers, 2)),
            registry=settings.registry_port,
            redis=settings.redis_port,
            lm=settings.lm_port,
        )

    @classmethod
    def free(cls, *, brokers: int) -> Ports:
        """Ports that nobody listens on now."""
        *nodes, registry, redis, lm = free_ports(2 * brokers + 3)
        kafka, controllers = tuple(nodes[:brokers]), tuple(nodes[brokers:])
        return cls(kafka=kafka, controllers=controllers, registry=registry, redis=redis, lm=lm)


def check_free(part: str, ports: Iterable[int], setting: str) -> None:
    """Raises PortTakenError naming the first taken port, who holds it where the system tells, and the setting."""
    for port in ports:
        if not _is_free(port):
            raise PortTakenError(
                f"{part} needs port {port} on {LOOPBACK}, which {_holder(port)} holds.",
                advice=f"Stop that, or set {setting} to another port.",
            )


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    with ExitStack() as held:
        found: list[int] = []
        for port in random.sample(_BELOW_EPHEMERAL, len(_BELOW_EPHEMERAL)):
            listener = held.enter_context(socket.socket())
            if _bound(listener, port):
                found.append(port)
            if len(found) == count:
                return found
    raise PortTakenError(f"No {count} free ports between {_BELOW_EPHEMERAL[0]} and {_BELOW_EPHEMERAL[-1]}.")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        return _bound(listener, port)


def _bound(listener: socket.socket, port: int) -> bool:
    """Bind as the servers do: with SO_REUSEADDR, so that connections of a stopped server do not count."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(1)
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        return False
    return True


def _holder(port: int) -> str:
    try:
        listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        pid = next((c.pid for c in listening if c.laddr and c.laddr.port == port and c.pid), None)
        return f"{psutil.Process(pid).name()} (pid {pid})" if pid else "another program"
    except psutil.Error:
        return "another program"
