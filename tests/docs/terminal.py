"""Where the examples of the guides are run: a stack with workers and look-ups, and a directory with a shop's files.

All of it is started by the commands that the guides name, on free ports; a port that a page shows is read as its own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from cosmo.runtime.settings import Settings
from cosmo.stack.ports import Ports
from cosmo.workers.one import PORTS
from tests.docs import shop
from tests.support.commands import Cosmo, alone
from tests.support.processes import until

BOUND_S = 120.0
"""For one block; it takes a second or two."""
LEARNED_S = 600.0
"""For what the guides look up: half a minute on idle cores; llama.cpp loses most of its speed where others work too."""
_ADDRESS = re.compile(r"\b(127\.0\.0\.1|localhost):(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """Runs shell scripts in ``directory`` with ``env``. ``ports``: from the one that a page shows to the one in use."""

    directory: Path
    env: Mapping[str, str]
    ports: Mapping[int, int]

    def here(self, shown: str) -> str:
        """What a page shows, with the addresses of this stack."""
        return _ADDRESS.sub(lambda found: f"{found[1]}:{self.ports[int(found[2])]}", shown)

    def run(self, script: str) -> str:
        """What it printed to standard output; fails when a command of it fails, or shows a traceback."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(script)],
            cwd=self.directory, env=self.env, capture_output=True, text=True, timeout=BOUND_S, check=False,
        )  # fmt: skip
        said = f"exit {done.returncode}\n{done.stderr}{done.stdout}"
        assert done.returncode == 0, said
        assert "Traceback" not in said, said
        return done.stdout


@contextmanager
def opened(root: Path) -> Iterator[Terminal]:
    """A stack as the README starts it, under ``root``, in which the shop's events have become features."""
    directory = root / "work"
    directory.mkdir()
    shop.write(directory)
    (directory / ".curlrc").write_text("fail-with-body\nsilent\n")
    env, ports = _surroundings(root / "home")
    env["CURL_HOME"] = str(directory)  # an answer that is an error is one of the example, too
    cosmo = Cosmo(env)
    cosmo("stack", "up")
    try:
        with _running(cosmo, "worker", "all"), _running(cosmo, "lookup", "serve"):
            terminal = Terminal(directory=directory, env=env, ports=ports)
            for command in shop.COMMANDS:
                terminal.run(command)
            _until_learned(f"http://127.0.0.1:{ports[Settings().lookup_port]}")
            yield terminal
    finally:
        cosmo("stack", "down")


def _surroundings(home: Path) -> tuple[dict[str, str], dict[int, int]]:
    """The environment of a shell in which ``cosmo`` is installed, and the ports in it by those of the guides."""
    spare, four = Ports.free(brokers=1), alone(home, brokers=2).env["COSMO_KAFKA_PORT"]
    chosen = {"COSMO_LOOKUP_PORT": str(spare.registry), "COSMO_WORKER_PORT": four, "COSMO_INFER_RELATIONS": "6"}
    env = dict(alone(home, chosen).env)
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    settings = Settings()
    ports = {getattr(settings, f"{part}_port"): int(env[f"COSMO_{part.upper()}_PORT"]) for part in _PARTS}
    return env, ports | {port: int(four) + number for number, port in enumerate(PORTS.values())}


_PARTS = ("kafka", "registry", "redis", "lm", "lookup")


@contextmanager
def _running(cosmo: Cosmo, *command: str) -> Iterator[None]:
    with (Path(cosmo.env["COSMO_HOME"]) / f"{command[0]}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cosmo", *command], env=cosmo.env, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(BOUND_S) == 0


def _until_learned(url: str) -> None:
    """Returns when the look-ups that the guides make have answers."""
    with httpx.Client(base_url=url) as client:

        def known(path: str) -> bool:
            try:
                return bool(client.get(path).json().get("model"))
            except (httpx.TransportError, ValueError):
                return False

        assert until(lambda: all(map(known, shop.LEARNED)), within_s=LEARNED_S), {
            path: known(path) for path in shop.LEARNED
        }
