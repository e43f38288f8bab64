"""The processes of a stream that are killed, paused and started again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import psutil

from cosmo.stack import spawner
from cosmo.stack.last_words import last_words
from cosmo.workers.all import STOPPED_ON_PURPOSE
from cosmo.workers.one import DEFECT

RESTART_AFTER_S = 0.3
_DEFECT = f'"event": "{DEFECT}"'.encode()
_TRACEBACK = "\nTraceback (most recent call last)"
"""As the interpreter prints it: a panic of native code, or an error at its start or end."""


@dataclass(slots=True)
class Running:
    """One process with everything needed to start it again. Tied to us, whatever happens."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    expected_to_be_dead: bool = False
    paused: bool = False
    due_s: float = 0.0
    """When to start it again, on the monotonic clock."""
    log_start: int = 0

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.log_start = output.tell()
            self.process = spawner.call(lambda: spawner.popen(self.command, output=output, tied=True, env=self.env))
        self.expected_to_be_dead = self.paused = False

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def owned(self) -> frozenset[tuple[str, int]]:
        """Topic and partition of what it was assigned, as its log says. The brokers are not asked: librdkafka's admin
        client does not survive a coordinator that moves."""
        held: set[tuple[str, int]] = set()
        for line in self.said.splitlines():
            if b'"assigned"' in line or b'"revoked"' in line:
                entry = orjson.loads(line)
                named = {(entry["topic"], number) for number in entry["partitions"]}
                held = held | named if entry["event"] == "assigned" else held - named
        return frozenset(held)

    @property
    def said(self) -> bytes:
        """Its log since it was started last."""
        with self.log.open("rb") as log:
            log.seek(self.log_start)
            return log.read()

    @property
    def defect(self) -> str | None:
        """Why it ended, if that was none of the ends that a worker may come to by itself: a traceback, or a signal."""
        assert self.process is not None
        for line in self.said.splitlines():
            if _DEFECT in line:
                return str(orjson.loads(line)["exception"])
        if self.process.returncode < 0:
            return f"signal {-self.process.returncode}"
        said = self.said.decode(errors="replace")
        return said[said.index(_TRACEBACK) :] if _TRACEBACK in said else None

    @property
    def rss_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss) if self.alive and self.process else 0

    def kill(self, *, start_after_s: float) -> None:
        """SIGKILL, and a start after a while."""
        assert self.process is not None
        self.expected_to_be_dead = True
        self.process.kill()
        self.process.wait()
        self.due_s = time.monotonic() + start_after_s

    def kill_for_good(self) -> None:
        """SIGKILL; it comes back when somebody calls `start`."""
        self.kill(start_after_s=float("inf"))

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def stop(self, within_s: float) -> None:
        """SIGTERM, then SIGKILL."""
        if self.process is None or not self.alive:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass(slots=True)
class Crew:
    """All of them. `look` keeps them running; what died without being killed is noted, and started again as
    `cosmo worker all` and Kubernetes would."""

    members: list[Running] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    """What nobody killed and yet ended, with its last words."""
    defects: list[str] = field(default_factory=list)
    """Those of them that must not happen whatever is broken, and where they did."""

    def add(self, name: str, *arguments: str, env: Mapping[str, str], logs: Path) -> Running:
        member = Running(name, (sys.executable, *arguments), env, logs / f"{name}.log")
        self.members.append(member)
        return member

    def start(self) -> None:
        for member in self.members:
            member.start()

    def look(self) -> None:
        """Start again what is dead. Fails when a worker stopped on purpose: nothing here gives it a reason to."""
        now_s = time.monotonic()
        for member in self.members:
            if member.alive:
                continue
            assert member.process is not None
            if not member.expected_to_be_dead:
                words = last_words(member.said.decode(errors="replace"))
                self.deaths.append(f"{member.name} ended with {member.process.returncode}: {words}")
                if member.defect is not None:
                    self.defects.append(f"{member.name}: {member.defect}")
                assert member.process.returncode != STOPPED_ON_PURPOSE, self.deaths[-1]
                member.expected_to_be_dead, member.due_s = True, now_s + RESTART_AFTER_S
            elif now_s >= member.due_s:
                member.start()

    def stop(self) -> None:
        """Ask all at once, then wait for each."""
        for member in self.members:
            if member.alive and member.process is not None:
                member.process.send_signal(signal.SIGCONT)
                member.process.terminate()
        for member in self.members:
            member.stop(within_s=30.0)

    def named(self, name: str) -> Running:
        return next(member for member in self.members if member.name == name)
