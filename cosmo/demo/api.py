"""The look-up API as a child process, while the demonstration serves; started again when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cosmo.runtime import logs
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from cosmo.stack import spawner
from cosmo.stack.ports import check_free
from cosmo.stack.restarts import MOST_DEATHS, Restarts

STOP_S = 10.0
LOG = "lookup.log"

log = logs.get(__name__)


@dataclass(slots=True, kw_only=True)
class Api:
    """Runs ``cosmo lookup serve`` as long as the block of `serving`, and never longer than this process. ``env``:
    variables that it gets beside ours; ``logs``: the directory of its log, which is begun anew."""

    settings: Settings
    env: Mapping[str, str]
    logs: Path
    _running: subprocess.Popen[bytes] | None = None
    _restarts: Restarts = field(default_factory=lambda: Restarts(time.monotonic()))

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Call `look` a few times a second within the block. Raises PortTakenError."""
        check_free("The look-up API", [self.settings.lookup_port], "COSMO_LOOKUP_PORT")
        (self.logs / LOG).unlink(missing_ok=True)
        try:
            self._start()
            yield
        finally:
            self._stop()

    @property
    def pids(self) -> list[int]:
        """Its process, if it runs."""
        return [self._running.pid] if self._running is not None and self._running.poll() is None else []

    def look(self) -> None:
        """Start it again when it has died, after a pause. Raises CosmoError when it dies again and again."""
        now_s = time.monotonic()
        if self._running is None or self._running.poll() is None:
            return
        if (pause_s := self._restarts.died(now_s)) is not None:
            if self._restarts.deaths > MOST_DEATHS:
                raise CosmoError(
                    f"The look-up API has died {self._restarts.deaths} times in a row.",
                    advice=f"Its last log line in {self.logs / LOG} says why.",
                )
            what = "the look-up API died" if self._running.returncode else "the look-up API ended"
            log.warning(what, code=self._running.returncode, restart_in_s=round(pause_s))
        elif self._restarts.due(now_s):
            self._start()
            self._restarts.began(now_s)

    def _start(self) -> None:
        command = [sys.executable, "-m", "cosmo", "lookup", "serve"]
        with (self.logs / LOG).open("ab") as output:
            env = os.environ | {**self.env}
            self._running = spawner.call(lambda: spawner.popen(command, output=output, tied=True, env=env))

    def _stop(self) -> None:
        if self._running is None:
            return
        self._running.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._running.wait(STOP_S)
        self._running.kill()
        self._running.wait()
