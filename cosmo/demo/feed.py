"""Sends the whole input, both topics at once, through the same code as ``cosmo produce``."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from cosmo.demo import strangers
from cosmo.demo.background import Background
from cosmo.demo.simulation import ORDERS, SEARCHES, Simulation
from cosmo.produce import Summary, numbered, send
from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings

RATES_PER_S = {SEARCHES: 8_000.0, ORDERS: 900.0}
"""Both topics end after about 25 s, side by side as they would arrive. At full speed the producer would take a core
from the workers and the model for ten seconds; slower than this, pairs would wait for their evidence."""

NICE = 5


@dataclass(slots=True)
class Feed:
    """One run of sending. ``progress`` holds the newest figures of each topic; read it from any thread."""

    settings: Settings
    simulation: Simulation
    done: Callable[[Summary, int | None], None]
    """Told what was sent of a topic, and how many undecodable records the broker took with it."""
    progress: dict[str, Summary] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _running: list[Background] = field(default_factory=list)

    def start(self, topics: list[str]) -> None:
        """Begin; returns at once. ``done`` is called for each topic that was sent to its end."""
        self._running = [Background(partial(self._send, topic), f"feed-{topic}") for topic in topics]

    def look(self) -> bool:
        """Whether all is sent. Raises what kept a topic from being sent, CosmoError as a rule."""
        ended = [running.done() for running in self._running]  # each is asked, and each may raise
        return all(ended)

    def stop(self, timeout_s: float) -> None:
        """End early; what was handed to the broker is confirmed as far as possible."""
        self._stopping.set()
        deadline = Deadline.after(timeout_s)
        for running in self._running:
            running.wait(deadline.remaining_s)

    def _send(self, topic: str) -> None:
        _stand_back()
        summary = send(
            numbered(self._lines(topic), source=f"simulated {topic}"),
            topic=topic,
            settings=self.settings,
            progress=lambda so_far: self.progress.update({topic: so_far}),
            rate_per_s=RATES_PER_S[topic],
        )
        if summary.failure:
            raise CosmoError(f"The input could not be sent: {summary.failure}", advice=summary.advice)
        if not self._stopping.is_set():
            self._finish(topic, summary)

    def _finish(self, topic: str, summary: Summary) -> None:
        self.done(summary, strangers.send(self.settings) if topic == SEARCHES else None)

    def _lines(self, topic: str) -> Iterator[bytes]:
        for line in self.simulation.lines(topic):
            if self._stopping.is_set():
                return
            yield line.value


def _stand_back() -> None:
    """This thread alone, which only Linux can do: workers and model go before the input."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
