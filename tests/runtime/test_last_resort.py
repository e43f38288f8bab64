"""A process whose stop hangs is ended, once, and not before its time."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from cosmo.runtime.last_resort import LastResort

HANGING = """
import sys, threading
from cosmo.runtime.last_resort import LastResort
last_resort = LastResort(0.2)
last_resort.exit_code = 3
threading.Thread(target=threading.Event().wait).start()
last_resort.arm()
sys.exit(0)
"""


def test_a_thread_that_never_ends_does_not_keep_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING], timeout=30.0, capture_output=True, check=False)
    assert done.returncode == 3
    assert b"the stop hangs" in done.stdout + done.stderr


def test_the_time_runs_from_the_first_call() -> None:
    ended, began_s = threading.Event(), time.monotonic()
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    last_resort = LastResort(0.3, end=end)
    last_resort.arm()
    last_resort.arm()
    assert ended.wait(10.0)
    assert time.monotonic() - began_s >= 0.3
    assert codes == [1]


def test_who_stops_in_time_is_left_alone() -> None:
    script = HANGING.replace("threading.Thread", "# threading.Thread")
    done = subprocess.run([sys.executable, "-c", script], timeout=30.0, capture_output=True, check=False)
    assert done.returncode == 0


def test_a_stop_that_has_come_to_its_end_leaves_waiting_threads_behind_soon_and_exits_0() -> None:
    script = HANGING.replace("LastResort(0.2)", "LastResort(600.0, exit_s=0.2)")
    settled = script.replace("sys.exit(0)", "last_resort.settled()\nlast_resort.arm()\nsys.exit(0)")
    done = subprocess.run([sys.executable, "-c", settled], timeout=30.0, capture_output=True, check=False)
    assert done.returncode == 0
    assert b"the stop hangs" not in done.stdout + done.stderr
