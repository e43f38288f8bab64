"""What a home remembers of its demonstration, so that a second run shows the same and sends nothing twice.

The file lies among the stack's data: whoever removes them removes it too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cosmo.demo.reading import Sent
from cosmo.runtime.errors import CosmoError
from cosmo.stack.home import disk_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """``now`` is the instant that counted as now at the first run; it fixes every event's time. ``sent`` holds the
    figures of each topic that was sent to its end; a topic that is not in it is sent (again) from its beginning.
    ``foreign``: undecodable records that the broker took from "another producer"; None where nobody noted it."""

    baskets: int
    seed: int
    now: datetime
    sent: dict[str, Any] = field(default_factory=dict)
    foreign: int | None = None

    def with_sent(self, topic: str, figures: dict[str, Any], foreign: int | None = None) -> Remembered:
        """Also sent to its end: a topic, and with it so many records of others, if any."""
        return replace(self, sent=self.sent | {topic: figures}, foreign=self.foreign if foreign is None else foreign)


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


def sent(data: Path) -> Sent:
    """What was sent, by whatever run."""
    known = _read(data)
    return Sent() if known is None else Sent.of(known.sent, {}, known.foreign)


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
