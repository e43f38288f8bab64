"""The schema registry part: Apicurio Registry, asked through its Confluent-compatible interface."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cosmo.stack.child import Child
from cosmo.stack.extras import java
from cosmo.stack.home import Home, disk_errors
from cosmo.stack.maven import LOCK, fetch, missing
from cosmo.stack.parts import Name, OwnPart, Say
from cosmo.stack.ports import LOOPBACK
from cosmo.stack.probes import http_ok

REGISTRY_VERSION = "3.0.9"
_ARCHIVE = next(entry for entry in LOCK if entry.packaging == "tar.gz")
_SMALL_JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


class RegistryPart(OwnPart):
    """Schema ids survive, as the records that carry them do: its H2 database is a file whose every commit is written
    before it is answered (``WRITE_DELAY=0``). Storage in Kafka itself would take 8 s to start instead of 2.5."""

    name = Name.REGISTRY
    label = "The schema registry"
    port_setting = "COSMO_REGISTRY_PORT"

    def __init__(self, home: Home, *, port: int, tied: bool) -> None:
        self._home = home
        self._port = port
        self._program = home.cache / f"apicurio-registry-{REGISTRY_VERSION}"
        self._child = Child(name=self.name, command=self._command, home=home, tied=tied)

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self._port}/apis/ccompat/v7"

    @property
    def children(self) -> Sequence[Child]:
        return (self._child,)

    @property
    def listens_on(self) -> Sequence[Sequence[int]]:
        return ((self._port,),)

    def prepare(self, say: Say) -> None:
        with disk_errors(self._home.root):
            (self._home.data / "registry").mkdir(parents=True, exist_ok=True)
            if not self._program.exists():
                self._install(say)

    def serves(self) -> bool:
        return http_ok(f"{self.address}/subjects")

    def _command(self) -> tuple[str, ...]:
        database = f"jdbc:h2:file:{self._home.data / 'registry' / 'registry'};WRITE_DELAY=0;DB_CLOSE_ON_EXIT=FALSE"
        properties = {
            "quarkus.http.host": LOOPBACK,
            "quarkus.http.port": str(self._port),
            "apicurio.storage.kind": "sql",
            "apicurio.storage.sql.kind": "h2",
            "apicurio.datasource.url": database,
        }
        defined = [f"-D{name}={value}" for name, value in properties.items()]
        jar = self._program / f"apicurio-registry-app-{REGISTRY_VERSION}-runner.jar"
        return (java(), *_SMALL_JVM, *defined, "-jar", str(jar))

    def _install(self, say: Say) -> None:
        """Fetch and unpack; the directory appears at once, so half an installation is never taken for one."""
        say(f"downloading Apicurio Registry {REGISTRY_VERSION} (108 MB, once)")
        with tempfile.TemporaryDirectory(dir=self._home.cache, prefix=".incoming-") as name:
            incoming = Path(name)
            fetch(missing([_ARCHIVE], incoming), incoming)
            unpacked = incoming / "unpacked"
            with tarfile.open(incoming / _ARCHIVE.filename) as archive:
                archive.extractall(unpacked, filter="data")
            unpacked.rename(self._program)
