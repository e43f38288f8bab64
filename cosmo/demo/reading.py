"""What the demonstration shows at one instant: plain figures, each from offsets, logs, stores or the kernel.

None is unknown, never zero: a broker that did not answer, a process that does not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cosmo.produce import Summary
from schemas.records import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of the stream, in records since the topics were made. ``taken`` is committed, ``given`` lies in the
    topics (or the store) that it writes, ``lag_s`` is the age of the oldest record that waits."""

    name: str
    taken: int | None
    given: int | None
    refused: int | None
    lag: int | None
    lag_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A source of figures that has not answered for ``seconds``, and why."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Everything at one instant."""

    stages: Sequence[Stage] = ()
    pairs: int | None = None
    prompts: int | None = None
    intents_kept: int | None = None
    rejected: Mapping[str, int] | None = None
    dead_letters: Mapping[str, int] | None = None
    """By ``topic reason``."""
    entities: int | None = None
    """Queries and products that have features in the store, from whatever run."""
    learned_now: int | None = None
    """Of them, those whose features hold an intent that was made in this run."""
    askable: Sequence[str] = ()
    """The newest queries that have features: whoever asks about them gets an answer."""
    queued_pairs: int | None = None
    """Released to the model, and not answered yet."""
    held_back_pairs: int | None = None
    """Those that qualify and wait until the model has room for them."""
    newest: Sequence[Intent] = ()
    first_feature_s: float | None = None
    """Seconds from the start of this run until a feature was seen that this run has learned; None while none is."""
    rss_bytes: int | None = None
    peak_rss_bytes: int | None = None
    unread: Mapping[str, Unread] = field(default_factory=dict)
    """The sources that do not answer, by name; all that comes from them is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The input of the home: sent by this run, or to its end by an earlier one."""

    topics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Figures of `cosmo.produce` by topic: lines, sent, refused by reason."""
    foreign: int | None = None
    """Undecodable records that another producer is made to send."""
    now: frozenset[str] = frozenset()
    """The topics of which this run has sent something."""

    @property
    def in_this_run(self) -> Sent:
        """What this run itself has sent."""
        return replace(self, topics={topic: figures for topic, figures in self.topics.items() if topic in self.now})

    @property
    def sent(self) -> int:
        return sum(figures["sent"] for figures in self.topics.values())

    @property
    def lines(self) -> int:
        return sum(figures["lines"] for figures in self.topics.values())

    @property
    def refused(self) -> dict[str, int]:
        counted: dict[str, int] = {}
        for figures in self.topics.values():
            for reason, count in figures["refused"].items():
                counted[reason] = counted.get(reason, 0) + count
        return counted

    @classmethod
    def of(cls, earlier: Mapping[str, Mapping[str, Any]], now: Mapping[str, Summary], foreign: int | None) -> Sent:
        topics = {**earlier, **{topic: summary.document() for topic, summary in now.items()}}
        return cls(topics=topics, foreign=foreign, now=frozenset(now))
