"""What importing Feast does to a process does not reach the processes that it starts."""

from __future__ import annotations

import subprocess
import sys


def test_opening_the_store_leaves_the_environment_as_it_was() -> None:
    """Else every child would keep its metrics in files of one directory, and none could remove a label."""
    code = "import os, features.store; print('PROMETHEUS_MULTIPROC_DIR' in os.environ)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
