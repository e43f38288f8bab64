"""What the demonstration tells whoever looks: a protocol, and its plain form, one line at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cosmo.demo.reading import Reading, Sent
from cosmo.lag.document import duration
from features.lookup.answers import Answer

PLAIN_EVERY_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What is told when the wait is over, and again when there was nothing to tell then: sample look-ups as they are
    answered to any reader, and where everything is."""

    answers: Sequence[Answer]
    addresses: Sequence[tuple[str, str]]
    reading: Reading
    sent: Sent
    remaining: str
    serving: bool
    ending: str
    """Why the wait for features was over, as a sentence."""


class Show(Protocol):
    """Called from one thread, several times a second while the stream runs."""

    def say(self, text: str) -> None:
        """A step of the start or the end."""

    def update(self, reading: Reading, sent: Sent, seconds: float) -> None:
        """The figures now, ``seconds`` after the beginning."""

    def results(self, results: Results) -> None:
        """What came of it."""

    def stop(self) -> None:
        """Nothing more comes; give the terminal back as it was."""


@dataclass(slots=True)
class PlainShow:
    """Lines for a log: progress through ``progress``, results through ``finish``."""

    progress: Callable[[str], None]
    finish: Callable[[Results], None]
    _next_s: float = 0.0

    def say(self, text: str) -> None:
        self.progress(text)

    def update(self, reading: Reading, sent: Sent, seconds: float) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + PLAIN_EVERY_S
            self.progress(line_of(reading, sent, seconds))

    def results(self, results: Results) -> None:
        self.finish(results)

    def stop(self) -> None:
        """Lines need no end."""


def line_of(reading: Reading, sent: Sent, seconds: float) -> str:
    """One line that says where everything stands."""
    refused = sum(sent.refused.values())
    parts = [f"{seconds:4.0f} s", f"sent {sent.sent:,} (refused {refused:,})"]
    parts += [f"{stage.name} {shown(stage.taken)} (lag {shown(stage.lag)})" for stage in reading.stages]
    parts += [f"intents {shown(reading.intents_kept)}", f"entities {shown(reading.entities)}"]
    return " · ".join([*parts, *unread(reading)])


def figures(reading: Reading, sent: Sent) -> list[str]:
    """What this run has done, and what the home holds from whatever run: a sentence each, never mixed."""
    after = f", the first after {reading.first_feature_s:.0f} s" if reading.first_feature_s is not None else ""
    return [
        f"This run: {_sent(sent.in_this_run)}, {shown(reading.learned_now)} entities learned{after}; "
        f"memory at most {megabytes(reading.peak_rss_bytes)}.",
        f"This home, of all runs: {_sent(sent)}, {shown(reading.pairs)} pairs released, "
        f"{shown(reading.intents_kept)} intents kept, {shown(reading.entities)} entities with features.",
    ]


def _sent(sent: Sent) -> str:
    return f"{sent.sent:,} events sent, {sum(sent.refused.values()):,} lines refused"


def unread(reading: Reading) -> list[str]:
    """Which figures are unknown because their source does not answer, and for how long."""
    return [
        f"{source} not read for {duration(one.seconds)}: {one.reason.rstrip('.')}"
        for source, one in reading.unread.items()
    ]


def shown(number: int | None) -> str:
    """A count for people; a question mark where it is unknown."""
    return "?" if number is None else f"{number:,}"


def megabytes(size: int | None) -> str:
    """Bytes for people."""
    return "?" if size is None else f"{size / 1e6:,.0f} MB"


def queue(reading: Reading) -> str:
    """What still waits to be explained, in one sentence: what was released to the model, and what waits for that."""
    released, held_back = reading.queued_pairs, reading.held_back_pairs
    if released is None and held_back is None:
        return "How many pairs wait is unknown."
    if released == held_back == 0:
        return "Nothing waits to be explained."
    return f"{shown(released)} pairs wait for the model's answer and {shown(held_back)} to be asked, the best first."
