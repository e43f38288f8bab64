"""The configuration file of one Kafka node of the local stack."""

from __future__ import annotations

from pathlib import Path

from cosmo.stack.ports import LOOPBACK, Ports


def server_properties(*, node_id: int, ports: Ports, log_dir: Path) -> str:
    """``server.properties`` for node 1, 2, …; the number of brokers is that of ``ports.kafka``."""
    lines = _listeners(node_id, ports) | _replication(len(ports.kafka)) | _SMALL | {"log.dirs": str(log_dir)}
    return "".join(f"{key}={value}\n" for key, value in lines.items())


def _listeners(node_id: int, ports: Ports) -> dict[str, str]:
    broker = f"PLAINTEXT://{LOOPBACK}:{ports.kafka[node_id - 1]}"
    controller = f"CONTROLLER://{LOOPBACK}:{ports.controllers[node_id - 1]}"
    voters = [f"{voter}@{LOOPBACK}:{port}" for voter, port in enumerate(ports.controllers, start=1)]
    return {
        "process.roles": "broker,controller",
        "node.id": str(node_id),
        "controller.quorum.voters": ",".join(voters),
        "listeners": f"{broker},{controller}",
        "advertised.listeners": broker,
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }


def _replication(brokers: int) -> dict[str, str]:
    """Replicas 3 and 2 in sync: one broker may die at any time and nothing acknowledged is lost."""
    factor, in_sync = str(min(3, brokers)), str(min(2, brokers))
    return {
        "default.replication.factor": factor,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": factor,
        "transaction.state.log.replication.factor": factor,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": factor,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


_SMALL = {
    # Topics are created by name and with their settings; a misspelt one must fail.
    "auto.create.topics.enable": "false",
    "num.partitions": "4",
    # A group of one or two members need not wait 3 s for more to come.
    "group.initial.rebalance.delay.ms": "0",
    # 50 partitions of each internal topic are for clusters with thousands of groups.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
    # The default, 128 MB, is a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    "log.segment.bytes": str(128 * 1024 * 1024),
}
