"""The ``cosmo`` program as tests run it: a child process with an environment of its own."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cosmo.runtime.settings import Settings
from cosmo.stack.errors import PortTakenError
from cosmo.stack.ports import Ports, check_free

TIME_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Cosmo:
    """Runs ``cosmo`` in one environment."""

    env: Mapping[str, str]

    def __call__(self, *arguments: str, exits: int = 0) -> subprocess.CompletedProcess[str]:
        """Run to the end; fails, with what was said, when it exits with another code than expected."""
        done = subprocess.run(
            self._command(arguments), env=self.env, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
        )
        assert done.returncode == exits, f"exit {done.returncode}: {done.stderr}{done.stdout}"
        return done

    def json(self, *arguments: str, exits: int = 0) -> Any:
        """The one document that ``--json`` prints."""
        return json.loads(self(*arguments, "--json", exits=exits).stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it and return; what it says can be read from its ``stderr``."""
        return subprocess.Popen(
            self._command(arguments),
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "cosmo", *arguments]


REPLACED_BY = ("KAFKA_BOOTSTRAP_SERVERS", "SCHEMA_REGISTRY_URL", "REDIS_URL", "COSMO_LM_URL")


def alone(
    home: Path, variables: Mapping[str, str] = MappingProxyType({}), *, brokers: int = 1, shared_cache: bool = True
) -> Cosmo:
    """``cosmo`` with a home of its own and free ports, whatever stack the session has. Downloads are shared."""
    home.mkdir(parents=True, exist_ok=True)
    cache = Settings().home.absolute() / "cache"
    if shared_cache and not (home / "cache").exists():
        cache.mkdir(parents=True, exist_ok=True)
        (home / "cache").symlink_to(cache)
    env = {name: value for name, value in os.environ.items() if name not in REPLACED_BY}
    return Cosmo(env | {"COSMO_HOME": str(home)} | _ports(brokers) | dict(variables))


def _ports(brokers: int) -> dict[str, str]:
    """``cosmo stack up`` takes the ports of brokers and controllers in a row from the first."""
    ports = Ports.free(brokers=1)
    return {
        "COSMO_KAFKA_PORT": str(_first_of_row(2 * brokers)),
        "COSMO_REGISTRY_PORT": str(ports.registry),
        "COSMO_REDIS_PORT": str(ports.redis),
        "COSMO_LM_PORT": str(ports.lm),
    }


def _first_of_row(count: int) -> int:
    while True:
        first = random.randrange(20_000, 32_000 - count)
        with suppress(PortTakenError):
            check_free("a test", range(first, first + count), "")
            return first
