"""Ctrl-C in the middle of a replay, whose brokers have fallen silent."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from typing import Any

import pytest

from cosmo.deadletters import operations
from cosmo.deadletters.marks import Marks
from cosmo.deadletters.reader import ALL
from cosmo.runtime.settings import Settings

SOON_S = 5.0
"""Well below the two minutes after which a reader gives silent brokers up; and what a loaded machine adds."""
PATIENCE_POLLS = 40


@dataclass
class SilentReader:
    """A consumer of brokers that took the connection and say nothing; somebody presses Ctrl-C while it waits."""

    polls: int = 0
    closed: bool = False

    def assign(self, _: Any) -> None:
        pass

    def poll(self, timeout_s: float) -> None:
        self.polls += 1
        assert self.polls < PATIENCE_POLLS, "goes on waiting"
        if self.polls == 2:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(timeout_s)

    def close(self) -> None:
        self.closed = True


def test_ctrl_c_ends_a_replay_soon_though_the_brokers_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been sent that is not marked, and the reader's connection is closed."""
    reader = SilentReader()
    name = "query-purchase.dlq"
    for module in ("operations", "reader"):
        monkeypatch.setattr(
            f"cosmo.deadletters.{module}.bounds", lambda _, names: {each: {0: (0, 9)} for each in names}
        )
    monkeypatch.setattr("cosmo.deadletters.marks.load", lambda *_, **__: Marks(name))
    monkeypatch.setattr("streams.kafka.reading.log_reader", lambda _: reader)
    began_s = time.monotonic()
    nowhere = Settings(kafka_bootstrap_servers="127.0.0.1:1")
    done = operations.replay(nowhere, "query-purchase", ALL, max_replays=5)
    assert done.interrupted
    assert (done.replayed, done.failed, done.failure) == (0, 0, "")
    assert reader.closed
    assert time.monotonic() - began_s < SOON_S
