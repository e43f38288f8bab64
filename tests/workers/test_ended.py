"""A worker that is gone is started again either way, and is only said to have died if it has."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from cosmo.runtime.settings import Settings
from cosmo.stack.restarts import Restarts
from cosmo.workers.all import Child, Children


@pytest.mark.parametrize(("code", "said"), [(0, "worker ended"), (1, "worker died")])
def test_a_worker_that_somebody_has_stopped_did_not_die(code: int, said: str, caplog: pytest.LogCaptureFixture) -> None:
    gone = subprocess.Popen([sys.executable, "-S", "-c", f"raise SystemExit({code})"])
    gone.wait()
    children = Children(Settings(), _children={"infer": Child("infer", gone, Restarts(time.monotonic()))})
    children.look()
    assert [said in record.getMessage() for record in caplog.records] == [True]
