"""The Kafka part: Apache Kafka in KRaft mode, one node or three, each node both broker and controller."""

from __future__ import annotations

import base64
import signal
import uuid
from collections.abc import Sequence
from pathlib import Path

from cosmo.stack import spawner
from cosmo.stack.child import Child
from cosmo.stack.errors import PartFailedError
from cosmo.stack.extras import java
from cosmo.stack.home import Home, disk_errors
from cosmo.stack.kafka_config import server_properties
from cosmo.stack.last_words import last_words
from cosmo.stack.maven import LOCK, fetch, missing
from cosmo.stack.parts import Name, OwnPart, Say
from cosmo.stack.ports import LOOPBACK, Ports
from cosmo.stack.probes import kafka_brokers, listens

KAFKA_VERSION = "4.4.0"
_JARS = tuple(entry for entry in LOCK if entry.packaging == "jar")
_SMALL_JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
"""A node takes 0.36 GB. One compiler tier and one collector thread start in half the time, on few cores."""
_LOG_TIME = "yyyy-MM-dd'T'HH:mm:ss.SSS"


class KafkaNode:
    """One node of the cluster, which tests may kill, pause and start again."""

    def __init__(self, part: KafkaPart, node_id: int, child: Child) -> None:
        self.node_id = node_id
        self.child = child
        self._part = part

    @property
    def pid(self) -> int | None:
        return self.child.pid

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        self.child.kill()

    def pause(self) -> None:
        self.child.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.child.send(signal.SIGCONT)

    def start(self) -> None:
        """Start the node again; `KafkaPart.ready` tells when all nodes are back."""
        self.child.start()


class KafkaPart(OwnPart):
    """Data and cluster id survive; three nodes replicate everything three times and write to at least two."""

    name = Name.KAFKA
    label = "Kafka"
    port_setting = "COSMO_KAFKA_PORT"

    def __init__(self, home: Home, *, ports: Ports, tied: bool) -> None:
        self._home = home
        self._ports = ports
        self._jars = home.cache / f"kafka-{KAFKA_VERSION}"
        self.nodes = [self._node(node_id, tied=tied) for node_id in range(1, len(ports.kafka) + 1)]

    @property
    def address(self) -> str:
        return ",".join(f"{LOOPBACK}:{port}" for port in self._ports.kafka)

    @property
    def children(self) -> Sequence[Child]:
        return [node.child for node in self.nodes]

    @property
    def listens_on(self) -> Sequence[Sequence[int]]:
        return list(zip(self._ports.kafka, self._ports.controllers, strict=True))

    def prepare(self, say: Say) -> None:
        if absent := missing(_JARS, self._jars):
            say(f"downloading Apache Kafka {KAFKA_VERSION} (43 MB, once)")
            fetch(absent, self._jars)
        for node in self.nodes:
            with disk_errors(self._home.root):
                self._configure(node.node_id)
                self._format(node.node_id)

    def ready(self) -> bool:
        self.check_running()
        if not all(listens(LOOPBACK, port) for port in self._ports.kafka):
            return False
        return kafka_brokers({"bootstrap.servers": self.address}) == len(self.nodes)

    def serves(self) -> bool:
        """Without a majority of controllers, brokers answer from memory and can change nothing."""
        running = [node for node in self.nodes if node.pid]
        return 2 * len(running) > len(self.nodes) and kafka_brokers({"bootstrap.servers": self.address}) > 0

    def _node(self, node_id: int, *, tied: bool) -> KafkaNode:
        log_format = (
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            f"-Dorg.slf4j.simpleLogger.dateTimeFormat={_LOG_TIME}",
        )
        main = ("kafka.Kafka", str(self._properties(node_id)))

        def command() -> tuple[str, ...]:
            return (java(), *_SMALL_JVM, *log_format, "-cp", f"{self._jars}/*", *main)

        child = Child(name=f"{self.name}-{node_id}", command=command, home=self._home, tied=tied)
        return KafkaNode(self, node_id, child)

    def _directory(self, node_id: int) -> Path:
        return self._home.data / "kafka" / str(node_id)

    def _properties(self, node_id: int) -> Path:
        return self._home.data / "kafka" / f"server-{node_id}.properties"

    def _configure(self, node_id: int) -> None:
        self._directory(node_id).mkdir(parents=True, exist_ok=True)
        text = server_properties(node_id=node_id, ports=self._ports, log_dir=self._directory(node_id))
        self._properties(node_id).write_text(text)

    def _format(self, node_id: int) -> None:
        """Write the cluster's identity into an empty data directory, once."""
        if (self._directory(node_id) / "meta.properties").exists():
            return
        log = self._home.logs / f"kafka-{node_id}-format.log"
        tool = ("-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{self._jars}/*", "kafka.tools.StorageTool")
        properties = str(self._properties(node_id))
        identity = f"--cluster-id={self._cluster_id()}"  # in one word, as it may begin with a dash
        arguments = ("format", "--ignore-formatted", identity, "--config", properties)
        if spawner.run((java(), *tool, *arguments), log=log) != 0:
            words = last_words(log.read_text(errors="replace"))
            raise PartFailedError(f"Kafka cannot use {self._directory(node_id)}: {words}", advice=f"See {log}.")

    def _cluster_id(self) -> str:
        """One id for the cluster's life: with it a node refuses to talk to another stack that took over its port."""
        path = self._home.data / "kafka" / "cluster.id"
        if not path.exists():
            path.write_text(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
        return path.read_text()
