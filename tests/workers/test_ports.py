"""A port that somebody else has is told before any worker starts; one by one they would die of it for ever."""

from __future__ import annotations

import socket

import pytest

from cosmo.runtime.settings import Settings
from cosmo.stack.errors import PortTakenError
from cosmo.stack.ports import LOOPBACK
from cosmo.workers.all import Children


def test_a_taken_port_is_one_sentence_and_no_worker_starts() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]
        children = Children(Settings(worker_port=taken - 1))
        with pytest.raises(PortTakenError, match=f"The .* worker needs port {taken} ") as told, children.running():
            pytest.fail("it must not run")
    assert "COSMO_WORKER_PORT" in told.value.advice
    assert children.pids == []
