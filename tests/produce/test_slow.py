"""Who waits is told for what, and who does not wait is told nothing."""

from __future__ import annotations

import threading

import pytest

from cosmo.produce import broker, numbered, send, slow
from cosmo.produce.slow import said_when_slow
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings

WAIT_S = 10.0


def test_what_takes_long_is_said_once_while_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow, "SLOW_S", 0.0)
    said, heard = list[str](), threading.Event()

    def say(text: str) -> None:
        said.append(text)
        heard.set()

    with said_when_slow(say, "brokers"):
        assert heard.wait(WAIT_S)
    assert said == ["Waiting for brokers …"]


def test_what_is_quick_is_not_said_and_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow, "SLOW_S", WAIT_S)
    said, threads = list[str](), threading.active_count()
    with said_when_slow(said.append, "brokers"):
        pass
    assert (said, threading.active_count()) == ([], threads)


def test_brokers_that_are_waited_for_are_named_before_they_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow, "SLOW_S", 0.0)
    monkeypatch.setattr(broker, "REACH_S", 0.5)
    said = list[str]()
    nowhere = Settings(kafka_bootstrap_servers="127.0.0.1:9")
    with pytest.raises(CosmoError, match="No Kafka broker answers"):
        send(numbered([]), topic="query-purchase", settings=nowhere, waiting=said.append)
    assert said == ["Waiting for brokers at 127.0.0.1:9 …"]
