"""What goes wrong, when, by a seed: one thing after another, several at a time, the quorum of brokers kept."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from cosmo.stack.kafka import KafkaNode
from cosmo.stack.parts import Name
from tests.faults.processes import Running
from tests.faults.stream import Stream

WORKER, PAUSE, VALKEY, MODEL, BROKER = "worker", "pause", "valkey", "model", "broker"
DECK = [WORKER] * 4 + [PAUSE, VALKEY, MODEL, BROKER]
"""Dealt in a random order, then again: so that a short storm has some of everything."""
PAUSE_AT_MOST_S = 60.0
"""A paused worker is woken when its partitions were given away; if nobody takes them, after this long."""


@dataclass(slots=True)
class Paused:
    """A worker that stands still and does not know."""

    worker: Running
    stage: str
    held: frozenset[tuple[str, int]]
    since_s: float


@dataclass(slots=True)
class Chaos:
    """Breaks a stream. Everything that it has broken is mended by `mend`, or by the crew."""

    stream: Stream
    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    given_away: int = 0
    """Pauses that lasted until the paused worker's partitions were another's."""
    _draw: random.Random = field(init=False)
    _deck: list[str] = field(default_factory=list)
    _paused: Paused | None = None
    _due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)

    @property
    def total(self) -> int:
        return sum(count for what, count in self.kills.items() if what != PAUSE)

    def run(self, going: Callable[[], bool], *, pauses_s: tuple[float, float]) -> None:
        """Break one thing after another while ``going``, with a random pause between."""
        while going():
            self._break()
            until_s = time.monotonic() + self._draw.uniform(*pauses_s)
            while time.monotonic() < until_s:
                self.look()
                time.sleep(0.05)

    def look(self) -> None:
        """Start again what is due, and wake who has been asleep for long enough."""
        self.stream.crew.look()
        now_s = time.monotonic()
        for due_s, act in list(self._due):
            if now_s >= due_s:
                self._due.remove((due_s, act))
                act()
        if self._paused is not None:
            self._wake_if_forgotten(self._paused)

    def mend(self) -> None:
        """Everything runs again, and nothing more is broken."""
        self._due, due = [], self._due
        for _, act in due:
            act()
        while self._paused is not None:
            self.look()
            time.sleep(0.1)

    def _break(self) -> None:
        if not self._deck:
            self._deck = self._draw.sample(DECK, k=len(DECK))
        what = self._deck.pop(0)
        acts = {
            WORKER: self._kill_worker,
            PAUSE: self._pause_worker,
            VALKEY: self._kill_valkey,
            MODEL: self._kill_model,
            BROKER: self._kill_broker,
        }
        if acts[what]():
            self.kills[what] += 1
        else:  # not now: a broker is still coming back, or somebody sleeps
            self._deck.append(what)

    def _kill_worker(self) -> bool:
        worker = self._draw.choice([one for ones in self.stream.workers.values() for one in ones])
        return self._kill(worker)

    def _kill_model(self) -> bool:
        return self._kill(self.stream.model)

    def _kill(self, member: Running) -> bool:
        if not member.alive or member.paused:
            return False
        member.kill(start_after_s=self._draw.uniform(0.0, 2.0))
        return True

    def _pause_worker(self) -> bool:
        stage = self._draw.choice(list(self.stream.workers))
        workers = self.stream.workers[stage]
        if self._paused is not None or len(workers) < 2 or not all(worker.alive for worker in workers):
            return False
        worker = self._draw.choice(list(workers))
        if not worker.owned:
            return False
        worker.pause()
        self._paused = Paused(worker, stage, worker.owned, time.monotonic())
        return True

    def _wake_if_forgotten(self, paused: Paused) -> None:
        """Until another worker owns what the sleeper had; it does not know yet."""
        asleep_s = time.monotonic() - paused.since_s
        if asleep_s < 6.0:  # the session timeout: the brokers cannot have noticed before
            return
        others = [worker.owned for worker in self.stream.workers[paused.stage] if worker is not paused.worker]
        gone = paused.held <= frozenset[tuple[str, int]]().union(*others)
        if gone or asleep_s > PAUSE_AT_MOST_S:
            self.given_away += gone
            paused.worker.resume()
            self._paused = None

    def _kill_valkey(self) -> bool:
        (child,) = self.stream.stack.parts[Name.VALKEY].children
        if child.pid is None:
            return False
        child.kill()
        self._later(child.start)
        return True

    def _kill_broker(self) -> bool:
        if not self.stream.whole():
            return False
        node: KafkaNode = self._draw.choice(self.stream.stack.kafka.nodes)
        node.kill()
        self._later(node.start)
        return True

    def _later(self, act: Callable[[], None]) -> None:
        self._due.append((time.monotonic() + self._draw.uniform(0.2, 3.0), act))
