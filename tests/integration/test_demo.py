"""``cosmo demo`` as people run it: a process of its own, with a home and ports of its own and everything real but the
model, whose answers are scripted so that the test need not wait for them."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from confluent_kafka import Producer

from cosmo.demo import strangers
from cosmo.demo.simulation import ORDERS, SEARCHES, Simulation
from cosmo.stack.ports import Ports
from tests.support.commands import Cosmo, alone
from tests.support.processes import processes_of, until, until_none_runs
from tests.support.scripted_model import scripted_model

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

BASKETS = 1_500
SEED = 3
ENTITIES = 8
SMALL = ("--baskets", str(BASKETS), "--seed", str(SEED), "--entities", str(ENTITIES))
LIMIT_S = 180
"""On two idle cores it takes 30 s; a loaded machine gets six times that."""
BEGUN = "The workers start"
LOOK_UP = "why shoppers "
"""Offered once there is something to look up."""


@dataclass(slots=True)
class Learned:
    """A home in which a demonstration has run to its end."""

    home: Path
    cosmo: Cosmo
    lookup_port: int
    document: dict[str, Any]
    progress: str


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learned]:
    home = tmp_path_factory.mktemp("demo")
    with _machine(home) as (cosmo, lookup_port):
        command = [sys.executable, "-m", "cosmo", "demo", *SMALL, "--limit", str(LIMIT_S), "--json"]
        done = subprocess.run(command, env=cosmo.env, capture_output=True, text=True, timeout=2 * LIMIT_S, check=False)
        assert done.returncode == 0, done.stderr
        yield Learned(home, cosmo, lookup_port, json.loads(done.stdout), done.stderr)


@contextmanager
def _machine(home: Path) -> Iterator[tuple[Cosmo, int]]:
    """Commands over a home with ports of its own and a scripted model; and the port of its look-up API."""
    with scripted_model() as model:
        spare = Ports.free(brokers=1)
        variables = {"COSMO_LM_URL": model.url, "COSMO_LOOKUP_PORT": str(spare.registry)}
        yield alone(home, variables | {"COSMO_WORKER_PORT": _four_free(home)}), spare.registry


def _four_free(home: Path) -> str:
    """The first of four ports in a row; brokers and controllers of two brokers are as many."""
    return alone(home, brokers=2).env["COSMO_KAFKA_PORT"]


def test_every_line_is_accounted_for_by_its_reason(learned: Learned) -> None:
    now = datetime.fromisoformat(json.loads((learned.home / "data" / "demo.json").read_text())["now"])
    simulation = Simulation.over(baskets=BASKETS, seed=SEED, now=now)
    lines = [line for topic in (SEARCHES, ORDERS) for line in simulation.lines(topic)]
    events = learned.document["events"]
    assert events["produced"] == sum(1 for line in lines if line.flaw is None)
    assert Counter(events["refused"]) == Counter(line.flaw.reason for line in lines if line.flaw)


def test_undecodable_records_of_others_are_all_dead_letters_and_nothing_else_is(learned: Learned) -> None:
    assert learned.document["events"]["foreign_undecodable"] == 2 * len(strangers.VALUES)
    assert sum(learned.document["dead_letters"].values()) == 2 * len(strangers.VALUES)


def test_it_ends_when_all_is_counted_and_enough_entities_have_features(learned: Learned) -> None:
    document = learned.document
    assert document["reached_goal"] is True, learned.progress
    assert document["ending"] == "goal"
    assert document["entities_with_features"] >= ENTITIES
    assert document["waiting"]["records"]["ingest"] == 0
    assert document["waiting"]["pairs_released"] is not None
    assert document["waiting"]["pairs_held_back"] is not None
    assert 0 < document["seconds_to_first_feature"] <= document["seconds"]
    assert document["entities_learned_in_this_run"] == document["entities_with_features"]
    assert document["unread"] == {}
    assert document["pairs"] >= 1
    assert document["prompts"] >= 1
    assert document["intents"]["kept"] >= ENTITIES
    assert 0 < document["peak_memory_bytes"] < 4_000_000_000


def test_the_summary_on_disk_is_the_document_that_was_printed(learned: Learned) -> None:
    assert json.loads((learned.home / "summary.json").read_text()) == learned.document
    assert "The workers start" in learned.progress


def test_no_process_is_left_behind(learned: Learned) -> None:
    until_none_runs(learned.home, within_s=5.0)


def test_a_second_run_on_a_terminal_sends_nothing_twice_and_serves_until_ctrl_c(learned: Learned) -> None:
    began_s = time.monotonic()
    with _terminal(learned.cosmo, *SMALL) as terminal:
        assert until(lambda: _answers(learned.lookup_port), within_s=120.0)
        assert time.monotonic() - began_s < 60.0
        assert terminal.shows("How to go on", within_s=120.0), terminal.text
        assert time.monotonic() - began_s < 60.0
        assert "earlier run" in terminal.text
        assert "What was learned" in terminal.text
        shown = json.loads((learned.home / "summary.json").read_text())
        assert (shown["ending"], shown["entities_with_features"] >= ENTITIES) == ("goal", True)
        assert _answers(learned.lookup_port)
        terminal.press_ctrl_c()
        assert terminal.exit_code(within_s=40.0) == 0
    until_none_runs(learned.home, within_s=5.0)
    second = json.loads((learned.home / "summary.json").read_text())
    assert second["events"]["by_topic"] == learned.document["events"]["by_topic"]
    assert second["dead_letters"] == learned.document["dead_letters"]
    assert second["events"]["foreign_undecodable"] == learned.document["events"]["foreign_undecodable"]
    assert "This run: 0 events sent" in terminal.text
    learned_now, first_s = second["entities_learned_in_this_run"], second["seconds_to_first_feature"]
    assert (first_s is None) == (not learned_now)


def test_look_ups_are_served_before_anything_is_learned_and_an_empty_page_comes_again_with_results(
    tmp_path: Path,
) -> None:
    with (
        _machine(tmp_path) as (cosmo, lookup_port),
        _terminal(cosmo, *SMALL, "--limit", "1", "--patience", "1") as terminal,
    ):
        assert terminal.shows("Nothing yet", within_s=120.0), terminal.text
        assert LOOK_UP not in terminal.text
        assert until(lambda: _answers(lookup_port), within_s=60.0)
        assert terminal.shows(LOOK_UP, within_s=LIMIT_S), terminal.text
        assert _answers(lookup_port)
        terminal.press_ctrl_c()
        assert terminal.exit_code(within_s=40.0) == 0
    until_none_runs(tmp_path, within_s=5.0)


MORTAL = ("kafka.Kafka", "quarkus", "valkey", "lookup serve", "worker infer")
"""One process of each kind, by a piece of its command line; the model is not the demonstration's here."""


def test_whatever_dies_while_it_serves_is_started_again_and_it_says_so(learned: Learned) -> None:
    with _terminal(learned.cosmo, *SMALL) as terminal:
        assert terminal.shows("How to go on", within_s=120.0), terminal.text
        victims = {name: _running(learned.home, name) for name in MORTAL}
        for victim in victims.values():
            os.kill(victim, signal.SIGKILL)

        def all_back() -> bool:
            terminal.shows("", within_s=0.0)
            return all(_running(learned.home, name) not in {0, victim} for name, victim in victims.items())

        assert until(all_back, within_s=60.0), terminal.text[-3000:]
        assert until(lambda: _ready(learned.cosmo) and _answers(learned.lookup_port), within_s=90.0)
        for said in ("a part of the stack died", "worker died", "the look-up API died"):
            assert said in terminal.text
        terminal.press_ctrl_c()
        assert terminal.exit_code(within_s=40.0) == 0
    until_none_runs(learned.home, within_s=5.0)
    second = json.loads((learned.home / "summary.json").read_text())
    assert second["dead_letters"] == learned.document["dead_letters"]


def _running(home: Path, name: str) -> int:
    """The process of that name, 0 for none."""
    for process in processes_of(home):
        with suppress(psutil.NoSuchProcess):
            if name in " ".join(process.cmdline()):
                return process.pid
    return 0


def _ready(cosmo: Cosmo) -> bool:
    command = [sys.executable, "-m", "cosmo", "stack", "status"]
    return subprocess.run(command, env=cosmo.env, capture_output=True, timeout=60.0, check=False).returncode == 0


JUNK = 30_000
"""So much at once that more than half of any 10,000 records in a row is junk, whatever else is sent meanwhile."""


def test_a_producer_that_sends_junk_ends_it_with_the_workers_own_sentence_and_a_summary_that_says_failed(
    tmp_path: Path,
) -> None:
    with _machine(tmp_path) as (cosmo, _):
        process = cosmo.start("demo", *SMALL)
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if BEGUN in line:
                _send_junk(int(cosmo.env["COSMO_KAFKA_PORT"]))
        assert process.wait(60.0) == 1
        process.stderr.close()
    text = "".join(said)
    assert "The ingest worker has stopped. More than 50% of the last records of query-purchase cannot be used" in text
    assert "COSMO_DEAD_LETTER_RATIO=1" in text
    assert "Traceback" not in text
    document = json.loads((tmp_path / "summary.json").read_text())
    assert (document["ending"], document["during"], document["reached_goal"]) == ("failed", "run", False)
    assert "More than 50% of the last records of query-purchase" in document["failure"]
    assert document["events"]["produced"] > 0
    until_none_runs(tmp_path, within_s=5.0)


def _send_junk(kafka_port: int) -> None:
    producer = Producer({"bootstrap.servers": f"127.0.0.1:{kafka_port}", "queue.buffering.max.messages": JUNK})
    for _ in range(JUNK):
        producer.produce("query-purchase", value=b"hello")
    assert producer.flush(30.0) == 0


def test_a_run_stopped_while_the_stack_starts_is_what_the_summary_tells_of(learned: Learned) -> None:
    process = learned.cosmo.start("demo", *SMALL)
    assert process.stderr is not None
    assert any("starting the local stack" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    assert process.wait(60.0) == 130
    process.stderr.close()
    document = json.loads((learned.home / "summary.json").read_text())
    assert (document["ending"], document["during"], document["reached_goal"]) == ("interrupted", "start", False)
    assert document["started_at"] > learned.document["started_at"]
    assert document["entities_with_features"] is None
    until_none_runs(learned.home, within_s=5.0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_stops_everything(learned: Learned, number: signal.Signals) -> None:
    process = learned.cosmo.start("demo", *SMALL)
    assert process.stderr is not None
    assert any(BEGUN in line for line in process.stderr)
    process.send_signal(number)
    assert process.wait(60.0) == 130
    process.stderr.close()
    until_none_runs(learned.home, within_s=5.0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_even_kill_9_leaves_nothing_behind(learned: Learned) -> None:
    process = learned.cosmo.start("demo", *SMALL)
    assert process.stderr is not None
    assert any(BEGUN in line for line in process.stderr)
    process.kill()
    process.wait(10.0)
    process.stderr.close()
    until_none_runs(learned.home, within_s=10.0)


def test_other_input_in_the_same_home_is_refused_with_advice(learned: Learned) -> None:
    done = learned.cosmo("demo", "--baskets", "77", exits=1)
    assert "--fresh" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_one_sentence(learned: Learned) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        busy = Cosmo({**learned.cosmo.env, "COSMO_KAFKA_PORT": port})
        done = busy("demo", *SMALL, exits=1)
    assert f"needs port {port}" in done.stderr
    assert "COSMO_KAFKA_PORT" in done.stderr
    assert "Traceback" not in done.stderr
    document = json.loads((learned.home / "summary.json").read_text())
    assert (document["ending"], document["during"]) == ("failed", "start")
    assert f"needs port {port}" in document["failure"]


def test_a_full_disk_is_one_sentence(learned: Learned) -> None:
    full = Cosmo({**learned.cosmo.env, "COSMO_MIN_FREE_BYTES": str(10**18)})
    done = full("demo", *SMALL, exits=1)
    assert "free on the disk" in done.stderr
    assert "COSMO_HOME" in done.stderr


@dataclass(slots=True)
class _Terminal:
    """A pseudo-terminal in which ``cosmo demo`` runs."""

    pid: int
    fd: int
    seen: bytearray = field(default_factory=bytearray)

    @property
    def text(self) -> str:
        return self.seen.decode("utf-8", "replace")

    def shows(self, phrase: str, *, within_s: float) -> bool:
        return until(lambda: self._read() or phrase in self.text, within_s=within_s) and phrase in self.text

    def press_ctrl_c(self) -> None:
        os.write(self.fd, b"\x03")

    def exit_code(self, *, within_s: float) -> int:
        ended: list[int] = []

        def reaped() -> bool:
            self._read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                ended.append(os.waitstatus_to_exitcode(status))
            return bool(pid)

        assert until(reaped, within_s=within_s), self.text[-2000:]
        return ended[0]

    def _read(self) -> bool:
        """Take what is there; always False, so that it can stand before a condition."""
        with suppress(OSError):
            while select.select([self.fd], [], [], 0)[0]:
                part = os.read(self.fd, 65_536)
                if not part:
                    break
                self.seen += part
        return False


class _terminal:  # noqa: N801 - used as a function
    def __init__(self, cosmo: Cosmo, *arguments: str) -> None:
        self._cosmo, self._arguments = cosmo, arguments

    def __enter__(self) -> _Terminal:
        pid, fd = pty.fork()
        if pid == 0:
            command = [sys.executable, "-m", "cosmo", "demo", *self._arguments]
            os.execve(command[0], command, {**self._cosmo.env, "COLUMNS": "140", "LINES": "40", "TERM": "xterm"})
        self._terminal = _Terminal(pid, fd)
        return self._terminal

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._terminal.pid, signal.SIGKILL)
            os.waitpid(self._terminal.pid, 0)
        os.close(self._terminal.fd)


def _answers(lookup_port: int) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{lookup_port}/readyz", timeout=2.0, trust_env=False).is_success
    return False
