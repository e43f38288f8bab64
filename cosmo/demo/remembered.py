"""What a home remembers of its demonstration, so that a second run shows the same and sends nothing twice.

The file lies among the stack's data: whoever removes them removes it too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cosmo.runtime.errors import CosmoError
from cosmo.stack.home import disk_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """``now`` is the instant that counted as now at the first run; it fixes every event's time. ``sent`` holds the
    figures of each topic that was sent to its end; a topic that is not in it is sent (again) from its beginning."""

    baskets: int
    seed: int
    now: datetime
    sent: dict[str, Any] = field(default_factory=dict)

    def with_sent(self, topic: str, figures: dict[str, Any]) -> Remembered:
        return replace(self, sent=self.sent | {topic: figures})


def recall(data: Path, *, baskets: int, seed: int, now: datetime) -> Remembered:
    """What the first run left, or a new beginning. Raises CosmoError when the first run was over other input."""
    wanted = Remembered(baskets=baskets, seed=seed, now=now)
    known = _read(data)
    if known is None:
        return wanted
    if (known.baskets, known.seed) != (baskets, seed):
        raise CosmoError(
            f"{data} holds a demonstration of {known.baskets} baskets with seed {known.seed}.",
            advice=f"Add --baskets {known.baskets} --seed {known.seed}, or begin anew with --fresh.",
        )
    return known


def sent(data: Path) -> dict[str, Any]:
    """The figures of each topic that was sent to its end, by whatever run."""
    known = _read(data)
    return known.sent if known is not None else {}


def save(data: Path, remembered: Remembered) -> None:
    """Replaces the file at once."""
    fresh = _path(data).with_suffix(".new")
    with disk_errors(data):
        fresh.write_text(json.dumps(asdict(remembered) | {"now": remembered.now.isoformat()}, indent=2), "utf-8")
        fresh.replace(_path(data))


def _path(data: Path) -> Path:
    return data / "demo.json"


def _read(data: Path) -> Remembered | None:
    try:
        fields = json.loads(_path(data).read_text("utf-8"))
        return Remembered(**fields | {"now": datetime.fromisoformat(fields["now"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
