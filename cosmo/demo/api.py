"""The look-up API as a child process, while the demonstration serves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cosmo.runtime.settings import Settings
from cosmo.stack import spawner
from cosmo.stack.ports import check_free

STOP_S = 10.0


@contextmanager
def serving(settings: Settings, *, env: Mapping[str, str], logs: Path) -> Iterator[int]:
    """Runs ``cosmo lookup serve`` as long as the block, and never longer than this process; yields its pid.

    Raises PortTakenError.
    """
    check_free("The look-up API", [settings.lookup_port], "COSMO_LOOKUP_PORT")
    command = [sys.executable, "-m", "cosmo", "lookup", "serve"]
    with (logs / "lookup.log").open("wb") as output:
        running = spawner.call(lambda: spawner.popen(command, output=output, tied=True, env=os.environ | {**env}))
    try:
        yield running.pid
    finally:
        running.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            running.wait(STOP_S)
        running.kill()
        running.wait()
