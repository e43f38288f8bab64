"""A wait is told once when it begins and once when it ends, however many attempts lie between."""

from __future__ import annotations

from typing import Any

import pytest

from cosmo.runtime.metrics import REGISTRY
from cosmo.runtime.waiting import Waiting
from tests.support.manual_clock import ManualClock


def shown(dependency: str) -> float | None:
    return REGISTRY.get_sample_value("cosmo_waiting_seconds", {"dependency": dependency})


def test_a_wait_of_many_attempts_is_two_lines_of_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    waiting = Waiting(ManualClock())
    for _ in range(100):
        waiting.failed("registry", "It does not answer.")
    for _ in range(3):
        waiting.answered("registry")
    said: list[Any] = [record.msg for record in caplog.records]  # the event itself, as it is before it is rendered
    assert [entry["event"] for entry in said] == ["waiting for a dependency", "dependency is back"]


def test_a_metric_tells_how_long_and_zero_when_it_is_over() -> None:
    clock = ManualClock()
    waiting = Waiting(clock)
    waiting.failed("some store", "It does not answer.")
    clock.now_s += 7.0
    assert shown("some store") == 7.0
    waiting.answered("some store")
    assert shown("some store") == 0.0


def test_the_longest_wait_is_the_first() -> None:
    clock = ManualClock()
    waiting = Waiting(clock)
    waiting.failed("one", "It is away.")
    clock.now_s += 1.0
    waiting.failed("other", "It is away too.")
    assert [wait.dependency for wait in waiting.now()] == ["one", "other"]
