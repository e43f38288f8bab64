"""Remembers how the stack of a home was started, so that another process can find, ask and stop its parts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cosmo.stack.ports import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """``tied``: the parts belong to the process that holds the home's lock; otherwise to nobody but their pid files."""

    ports: Ports
    tied: bool

    @property
    def brokers(self) -> int:
        return len(self.ports.kafka)


def _path(run: Path) -> Path:
    return run / "stack.json"


def save(run: Path, state: State) -> None:
    """Replaces the file at once."""
    fresh = _path(run).with_suffix(".new")
    fresh.write_text(json.dumps(asdict(state)))
    fresh.replace(_path(run))


def load(run: Path) -> State | None:
    """What was saved last, or None; whether its processes still run is for their pid files to say."""
    try:
        fields = json.loads(_path(run).read_text())
        ports: dict[str, Any] = {
            name: tuple(port) if isinstance(port, list) else int(port) for name, port in fields["ports"].items()
        }
        return State(ports=Ports(**ports), tied=bool(fields["tied"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def forget(run: Path) -> None:
    _path(run).unlink(missing_ok=True)
