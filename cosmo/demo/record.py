"""``.cosmo/summary.json``: what is known of the newest run of a home, from its beginning to whatever has ended it."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cosmo.demo import remembered
from cosmo.demo.ending import During, End
from cosmo.demo.reading import Reading, Sent
from cosmo.runtime.errors import CosmoError
from cosmo.stack.home import Home, disk_errors


@dataclass(slots=True, kw_only=True)
class Record:
    """The summary of one run, which replaces that of an earlier one as soon as the run begins."""

    home: Home
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_s: float = field(default_factory=time.monotonic)
    """On the monotonic clock."""
    document: dict[str, Any] = field(default_factory=dict)
    """As it was written last."""
    _during: During = During.START
    _concluded: bool = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started_s

    def begin(self) -> None:
        """Nothing is known yet. Raises HomeBusyError when another run has the home."""
        with self.home.locked():
            self._write_bare(End(ending=None, during=self._during))

    def runs(self) -> None:
        """The start is over; the home is locked by this run."""
        self._during = During.RUN
        self._write_bare(End(ending=None, during=self._during))

    def note(self, reading: Reading, sent: Sent, end: End) -> None:
        """Write what the run has come to so far, while the home is locked by it."""
        self._write(reading, sent, end)

    def conclude(self, reading: Reading, sent: Sent, end: End) -> None:
        """`note` at the end of the run."""
        self._write(reading, sent, end)
        self._concluded = True

    def broken_off(self, error: BaseException) -> None:
        """The run has ended by ``error``. Writes that, unless the run has concluded by itself; never raises. A home
        that another run has by now, or has had all the time, is left to it."""
        if not self._concluded:
            with suppress(CosmoError), self.home.locked():
                self._write_bare(End(ending=None, during=self._during).broken_off(error))

    def _write_bare(self, end: End) -> None:
        self._write(Reading(), remembered.sent(self.home.data), end)

    def _write(self, reading: Reading, sent: Sent, end: End) -> None:
        self.document = summary(reading, sent, started_at=self.started_at, seconds=self.seconds, end=end)
        write_document(self.home.root / "summary.json", self.document)


def summary(reading: Reading, sent: Sent, *, started_at: datetime, seconds: float, end: End) -> dict[str, Any]:
    """The document. Null is unknown, and ``unread`` says which source did not answer."""
    unread = reading.unread
    return {
        "started_at": started_at.isoformat(),
        "seconds": round(seconds, 1),
        "reached_goal": end.reached_goal,
        "ending": end.ending,
        "during": end.during,
        "failure": end.failure,
        "events": {
            "produced": sent.sent,
            "refused": sent.refused,
            "by_topic": sent.topics,
            "foreign_undecodable": sent.foreign,
        },
        "dead_letters": reading.dead_letters,
        "pairs": reading.pairs,
        "prompts": reading.prompts,
        "intents": {"kept": reading.intents_kept, "rejected": reading.rejected},
        "entities_with_features": reading.entities,
        "entities_learned_in_this_run": reading.learned_now,
        "waiting": {
            "pairs_released": reading.queued_pairs,
            "pairs_held_back": reading.held_back_pairs,
            "records": {stage.name: stage.lag for stage in reading.stages},
        },
        "seconds_to_first_feature": None if reading.first_feature_s is None else round(reading.first_feature_s, 1),
        "peak_memory_bytes": reading.peak_rss_bytes,
        "unread": {source: {"seconds": round(one.seconds, 1), "reason": one.reason} for source, one in unread.items()},
    }


def write_document(path: Path, document: dict[str, Any]) -> None:
    """Replaces the file at once."""
    fresh = path.with_suffix(".new")
    with disk_errors(path.parent):
        fresh.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
        fresh.replace(path)
