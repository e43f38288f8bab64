"""A stack belongs to a home. Whoever asks from another directory is told which home was looked at, and makes none."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cosmo.stack.ports import LOOPBACK
from tests.support.commands import Cosmo, alone


@pytest.fixture
def elsewhere(tmp_path: Path) -> Cosmo:
    """``cosmo`` with a home that does not exist."""
    program = alone(tmp_path / "unused")
    return Cosmo({**program.env, "COSMO_HOME": str(tmp_path / "home")})


def test_the_status_of_a_stack_that_does_not_run_says_which_home_was_looked_at(
    elsewhere: Cosmo, tmp_path: Path
) -> None:
    done = elsewhere("stack", "status", exits=1)
    assert done.stdout.count("stopped") == 4
    assert f"This is the stack of {tmp_path}/home (COSMO_HOME)." in done.stderr
    assert "another" not in done.stderr


def test_what_answers_at_a_port_of_a_home_in_which_nothing_runs_is_not_called_stopped(elsewhere: Cosmo) -> None:
    with socket.create_server((LOOPBACK, int(elsewhere.env["COSMO_REDIS_PORT"]))):
        done = elsewhere("stack", "status", exits=1)
        health = {part["name"]: part["health"] for part in elsewhere.json("stack", "status", exits=1)}
    assert health == dict.fromkeys(("kafka", "registry", "model"), "stopped") | {"valkey": "not this home's"}
    assert "belongs to another: go to that one's directory, or set COSMO_HOME" in done.stderr


def test_there_is_nothing_to_stop_where_no_stack_has_ever_been_and_nothing_is_made_there(
    elsewhere: Cosmo, tmp_path: Path
) -> None:
    assert f"nothing of {tmp_path}/home runs" in elsewhere("stack", "down").stdout
    assert not (tmp_path / "home").exists()


def test_a_stack_that_another_keeps_from_its_ports_makes_no_home(elsewhere: Cosmo, tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, int(elsewhere.env["COSMO_REDIS_PORT"]))):
        done = elsewhere("stack", "up", exits=1)
    assert "Valkey needs port" in done.stderr
    assert not (tmp_path / "home").exists()
