"""A worker that is asked to stop exits 0 and soon, also before it has reached any server; as a process with signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from cosmo.stack.ports import free_ports
from tests.support.processes import until

SHUTDOWN_S = 5.0
SOON_S = SHUTDOWN_S + 3.0
"""The deadline of a stop, the interpreter's end, and what a loaded machine adds."""


@contextmanager
def _silent_server() -> Iterator[str]:
    """Connections are taken and nothing is ever answered: a broker behind a firewall, or stopped with SIGSTOP."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def _worker(process: str, server: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    servers = {
        "KAFKA_BOOTSTRAP_SERVERS": server,
        "SCHEMA_REGISTRY_URL": f"http://{server}",
        "REDIS_URL": f"redis://{server}/0",
        "COSMO_LM_URL": f"http://{server}",
    }
    own = {"COSMO_WORKER_PORT": str(free_ports(1)[0]), "COSMO_SHUTDOWN_S": str(SHUTDOWN_S)}
    command = [sys.executable, "-m", "cosmo", "worker", process]
    with log.open("wb") as output:
        running = subprocess.Popen(command, env=os.environ | servers | own, stdout=output, stderr=output)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def _listens_to_signals(running: subprocess.Popen[bytes]) -> bool:
    """Whether it has a handler for SIGTERM: bit 14 of SigCgt."""
    status = Path(f"/proc/{running.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def _waits_for_server(running: subprocess.Popen[bytes], server: str, *, connections: int = 1) -> bool:
    port = int(server.rpartition(":")[2])
    found = psutil.Process(running.pid).net_connections("tcp")
    return sum(bool(one.raddr) and one.raddr.port == port for one in found) >= connections


def _stops_well(running: subprocess.Popen[bytes], log: Path, number: signal.Signals = signal.SIGTERM) -> None:
    running.send_signal(number)
    began_s = time.monotonic()
    code = running.wait(SOON_S)
    said = log.read_text()
    assert code == 0, said
    assert "Traceback" not in said
    assert time.monotonic() - began_s < SOON_S


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc for the moment to send the signal")


@pytest.mark.parametrize("process", ["ingest", "sample", "infer", "materialize"])
def test_a_stop_before_any_server_has_answered_is_graceful(process: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with _silent_server() as server, _worker(process, server, log) as running:
        assert until(lambda: _waits_for_server(running, server), within_s=60.0), log.read_text()
        _stops_well(running, log)


def test_a_stop_while_the_consumer_starts_is_graceful(tmp_path: Path) -> None:
    """Materialize asks no server before. Producer, admin client and consumer have one connection each."""
    log = tmp_path / "log"
    with _silent_server() as server, _worker("materialize", server, log) as running:
        assert until(lambda: _waits_for_server(running, server, connections=3), within_s=60.0), log.read_text()
        _stops_well(running, log)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_during_the_imports_is_graceful(number: signal.Signals, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with _silent_server() as server, _worker("sample", server, log) as running:
        assert until(lambda: _listens_to_signals(running), within_s=60.0)
        _stops_well(running, log, number)


def test_a_second_signal_does_not_disturb_the_stop(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with _silent_server() as server, _worker("ingest", server, log) as running:
        assert until(lambda: _waits_for_server(running, server), within_s=60.0), log.read_text()

        def insists() -> bool:
            running.send_signal(signal.SIGTERM)
            return running.poll() is not None

        assert until(insists, within_s=SOON_S)
        assert running.returncode == 0, log.read_text()
