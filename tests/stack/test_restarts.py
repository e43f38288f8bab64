"""What has died is started again, later each time, until somebody must look."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cosmo.stack import child, restarts
from cosmo.stack.child import Child
from cosmo.stack.errors import DiskFullError, PartFailedError
from cosmo.stack.home import Home
from cosmo.stack.keeper import Keeper
from cosmo.stack.parts import Name, OwnPart, Say
from cosmo.stack.restarts import MOST_DEATHS, PAUSE_S, SETTLED_S, Restarts
from tests.support.processes import until

SLEEPS = "import time; time.sleep(600)"
DIES = "print('IOException: no such luck')"
FULL = "print('java.io.IOException: No space left on device'); print('ERROR shutting down')"


def test_the_pause_before_a_restart_doubles_and_is_said_once() -> None:
    deaths, now_s = Restarts(0.0), 0.0
    pauses = []
    for _ in range(7):
        pause_s = deaths.died(now_s)
        assert pause_s is not None
        assert deaths.died(now_s) is None
        assert not deaths.due(now_s + pause_s - 0.01)
        now_s += pause_s
        assert deaths.due(now_s)
        deaths.began(now_s)
        assert not deaths.due(now_s + 1000.0)
        pauses.append(pause_s)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, PAUSE_S[1], PAUSE_S[1]]


def test_who_has_run_for_a_while_dies_for_the_first_time() -> None:
    deaths = Restarts(0.0)
    deaths.died(1.0)
    deaths.began(2.0)
    assert deaths.died(2.0 + SETTLED_S) == PAUSE_S[0]
    assert deaths.deaths == 1


class ScriptedPart(OwnPart):
    """A part of one process that runs a line of Python and listens nowhere."""

    name = Name.VALKEY
    label = "The scripted part"
    port_setting = ""

    def __init__(self, home: Home, script: str) -> None:
        self.child = Child(name="scripted", command=lambda: (sys.executable, "-c", script), home=home, tied=True)

    @property
    def children(self) -> Sequence[Child]:
        return (self.child,)

    @property
    def listens_on(self) -> Sequence[Sequence[int]]:
        return ((),)

    @property
    def address(self) -> str:
        return "nowhere"

    def prepare(self, say: Say) -> None:
        pass

    def serves(self) -> bool:
        return True


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Restarts come at once."""
    monkeypatch.setattr(restarts, "PAUSE_S", (0.0, 0.0))
    home = Home.at(tmp_path)
    home.create(min_free_bytes=0)
    return home


def test_a_part_that_was_killed_runs_again(home: Home) -> None:
    part = ScriptedPart(home, SLEEPS)
    part.start()
    kept, first = Keeper([part]), part.child.pid
    kept.look()
    assert part.child.pid == first
    part.child.kill()

    def runs() -> bool:
        kept.look()
        return part.child.pid is not None

    assert until(runs, within_s=10.0)
    assert part.child.pid != first
    part.child.kill()


def _look_until_it_raises(part: ScriptedPart) -> None:
    part.start()
    kept = Keeper([part])

    def never() -> bool:
        kept.look()
        return False

    until(never, within_s=30.0)


def test_a_part_that_dies_again_and_again_ends_the_keeping_with_its_last_words(home: Home) -> None:
    with pytest.raises(PartFailedError, match="The scripted part stopped: IOException: no such luck"):
        _look_until_it_raises(part := ScriptedPart(home, DIES))
    assert part.child.log.read_text().count("no such luck") == MOST_DEATHS + 1


def test_a_part_whose_disk_is_full_is_not_started_again(home: Home) -> None:
    with pytest.raises(DiskFullError, match="its disk is full"):
        _look_until_it_raises(part := ScriptedPart(home, FULL))
    assert part.child.log.read_text().count("ERROR") == 1


def test_a_part_that_could_not_even_complain_has_a_full_disk(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "free_bytes", lambda _: 0)
    with pytest.raises(DiskFullError):
        _look_until_it_raises(ScriptedPart(home, DIES))
