"""Become another program that dies with the process that started it, also when that is killed with SIGKILL.

``python exec_tied.py PARENT_PID PROGRAM ARGUMENT…``. It runs by path and imports only the standard library, so that it
costs 15 ms. The kernel sends the signal when the parent *thread* ends: `cosmo.stack.spawner` owns a thread that lives.
Only Linux has this; elsewhere the program runs untied and is stopped by its parent's ordinary exit.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent_pid, program = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # the parent died before the line above could tie us to it
        sys.exit(1)
    os.execv(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
