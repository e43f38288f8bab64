"""The small things by which a stack finds, spares and explains processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.settings import Settings
from cosmo.stack import pidfile, state
from cosmo.stack.child import Child, stop_all
from cosmo.stack.errors import ArtifactError, DiskFullError, HomeBusyError, PortTakenError, StackError
from cosmo.stack.extras import extra
from cosmo.stack.home import Home
from cosmo.stack.kafka_config import server_properties
from cosmo.stack.last_words import last_words
from cosmo.stack.maven import LOCK, missing
from cosmo.stack.ports import LOOPBACK, Ports, check_free

SLEEPS = (sys.executable, "-c", "import time; time.sleep(600)")
IGNORES_SIGTERM = (sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.at(tmp_path)
    home.create(min_free_bytes=0)
    return home


def test_a_pid_that_a_stranger_has_taken_over_is_not_ours() -> None:
    own = pidfile.PidRecord.of(os.getpid())
    assert own.process() is not None
    assert pidfile.PidRecord(pid=own.pid, started_at_s=own.started_at_s - 3600).process() is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "started_at_s": 1}'])
def test_a_damaged_pid_file_names_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.pid").write_text(content)
    assert pidfile.read(tmp_path / "a.pid") is None


def test_state_is_read_as_it_was_saved_and_forgotten(home: Home) -> None:
    saved = state.State(ports=Ports.free(brokers=3), tied=False)
    state.save(home.run, saved)
    assert state.load(home.run) == saved
    state.forget(home.run)
    assert state.load(home.run) is None


def test_another_object_finds_and_stops_an_untied_child(home: Home) -> None:
    started = Child(name="sleeper", command=lambda: SLEEPS, home=home, tied=False)
    started.start()
    found = Child(name="sleeper", command=lambda: SLEEPS, home=home, tied=False)
    assert found.pid == started.pid
    stop_all([found], Deadline.after(10.0))
    assert started.process() is None


def test_a_child_that_does_not_stop_is_killed_at_the_deadline(home: Home) -> None:
    child = Child(name="stubborn", command=lambda: IGNORES_SIGTERM, home=home, tied=True)
    child.start()
    stop_all([child], Deadline.after(0.2))
    assert child.process() is None


def test_a_home_has_one_holder_who_is_named(home: Home) -> None:
    """And the kernel lets go of it when the holder dies, however it dies."""
    hold = f"from cosmo.stack.home import *\nwith Home.at(Path({str(home.root)!r})).locked(): print('held'); input()"
    holder = subprocess.Popen([sys.executable, "-uc", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(HomeBusyError, match=f"running process {holder.pid}"), home.locked():
        pass
    holder.kill()
    holder.communicate()
    with home.locked():
        pass


def test_a_home_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="Cannot write to"):
        Home.at(tmp_path / "file" / "home").create(min_free_bytes=0)


def test_a_disk_without_room_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match="GB are free"):
        Home.at(tmp_path / "home").create(min_free_bytes=10**18)
    assert not (tmp_path / "home").exists()


def test_one_and_three_brokers_have_separate_data(tmp_path: Path) -> None:
    assert Home.at(tmp_path).data != Home.at(tmp_path, brokers=3).data
    assert Home.at(tmp_path).cache == Home.at(tmp_path, brokers=3).cache


def test_a_taken_port_names_its_holder_and_the_setting() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"Valkey needs port {port} .*pid {os.getpid()}") as refused:
            check_free("Valkey", [port], "COSMO_REDIS_PORT")
    assert "COSMO_REDIS_PORT" in refused.value.advice
    check_free("Valkey", [port], "COSMO_REDIS_PORT")


def test_fixed_ports_of_three_brokers_do_not_collide() -> None:
    ports = Ports.fixed(Settings(), brokers=3)
    taken = [*ports.kafka, *ports.controllers, ports.registry, ports.redis, ports.lm]
    assert len(set(taken)) == len(taken)


def test_the_default_addresses_follow_the_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that one variable moves a part and everybody who looks for it."""
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "SCHEMA_REGISTRY_URL", "REDIS_URL", "COSMO_LM_URL"):
        monkeypatch.setenv(name, "")  # empty means not set
    monkeypatch.setenv("COSMO_KAFKA_PORT", "19092")
    monkeypatch.setenv("COSMO_REDIS_PORT", "16379")
    settings = Settings()
    assert settings.kafka_bootstrap_servers == "127.0.0.1:19092"
    assert settings.redis_url.get_secret_value() == "redis://127.0.0.1:16379/0"
    assert settings.schema_registry_url == "http://127.0.0.1:8081/apis/ccompat/v7"


def test_a_broker_configuration_is_on_the_loopback_address_and_keeps_two_copies() -> None:
    text = server_properties(node_id=2, ports=Ports.free(brokers=3), log_dir=Path("/data"))
    properties = dict(line.split("=", 1) for line in text.splitlines())
    assert all(f"//{LOOPBACK}:" in listener for listener in properties["listeners"].split(","))
    assert properties["min.insync.replicas"] == "2"
    assert properties["auto.create.topics.enable"] == "false"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("", ""),
        ("INFO started\nbye\n", "bye"),
        (
            "ERROR Exiting (kafka.Kafka$)\njava.io.IOException: No space left on device\n\tat java.base/x(Y.java:1)\n",
            "java.io.IOException: No space left on device",
        ),
        (
            "ERROR: No matching distribution found for x\nnotice: new pip\n",
            "ERROR: No matching distribution found for x",
        ),
        (
            "Unexpected ValueError: not so\nThis is a defect; --debug shows where it happened.\n",
            "Unexpected ValueError: not so",
        ),
        ("x" * 1000, "x" * 300 + "…"),
    ],
)
def test_the_line_that_says_why_is_found(log: str, said: str) -> None:
    assert last_words(log) == said


def test_half_a_download_counts_as_missing(tmp_path: Path) -> None:
    (tmp_path / LOCK[0].filename).write_bytes(b"half")
    assert missing(LOCK, tmp_path) == list(LOCK)


def test_a_missing_package_is_told_with_the_command_that_installs_it() -> None:
    with pytest.raises(ArtifactError, match="needs the Python package nowhere") as missed:
        extra("nowhere.at_all")
    assert "make install" in missed.value.advice


def test_nothing_outlives_these_tests() -> None:
    assert not [child for child in psutil.Process().children() if "time.sleep(600)" in " ".join(child.cmdline())]
