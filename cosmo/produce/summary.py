"""What a run of sending has done, and is doing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cosmo.produce.lines import Line
from cosmo.produce.outcomes import Passed
from cosmo.runtime.errors import CosmoError


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Figures of one run, so far or in the end. ``lines`` = sent + refused + passed + waiting, always.

    ``sent`` counts what the broker has confirmed; ``bytes`` are those of its values. ``waiting`` is on its way to the
    broker; 0 at the end. A UBI event whose query has not come yet is no line until it does, or the input ends.
    """

    topic: str
    lines: int
    sent: int
    refused: Mapping[str, int]
    passed: Mapping[str, int]
    waiting: int
    bytes: int
    seconds: float
    untold: int = 0
    """Refused lines that could not be written to the file of refusals."""
    interrupted: bool = False
    failure: str = ""
    """What made sending stop, in a sentence; empty while it goes well."""
    advice: str = ""
    """What to do about that."""
    read_until: str = ""
    """The last line read, as ``source:number``."""
    read_from: tuple[str, ...] = ()
    """The inputs that gave a line; with ``hints`` filled at the end only."""
    hints: tuple[str, ...] = ()
    """A sentence for each input of which no line could be used: what it seems to be, and what to do."""

    @property
    def refused_total(self) -> int:
        return sum(self.refused.values())

    def document(self) -> dict[str, Any]:
        """The summary as JSON has it."""
        return {
            "topic": self.topic,
            "lines": self.lines,
            "sent": self.sent,
            "refused": dict(sorted(self.refused.items())),
            "refused_total": self.refused_total,
            "refused_and_not_written": self.untold,
            "passed_over": dict(sorted(self.passed.items())),
            "waiting": self.waiting,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "failure": self.failure or None,
            "advice": self.advice or None,
            "read_until": self.read_until or None,
            "hints": list(self.hints),
        }


@dataclass(slots=True, kw_only=True)
class Tally:
    """The same figures while they grow."""

    topic: str
    started_s: float
    lines: int = 0
    sent: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    passed: Counter[Passed] = field(default_factory=Counter)
    bytes: int = 0
    untold: int = 0
    interrupted: bool = False
    failure: str = ""
    advice: str = ""
    last: Line | None = None

    def fail(self, error: CosmoError) -> None:
        """What goes wrong first is said; what follows from it is not."""
        if not self.failure:
            self.failure, self.advice = error.what, error.advice

    def summary(self, now_s: float) -> Summary:
        passed = {why.value: count for why, count in self.passed.items()}
        return Summary(
            topic=self.topic,
            lines=self.lines,
            sent=self.sent,
            refused=dict(self.refused),
            passed=passed,
            waiting=self.lines - self.sent - self.refused.total() - self.passed.total(),
            bytes=self.bytes,
            seconds=now_s - self.started_s,
            untold=self.untold,
            interrupted=self.interrupted,
            failure=self.failure,
            advice=self.advice,
            read_until="" if self.last is None else str(self.last),
        )
