"""Where the demonstration's figures come from, and what they are once a source has not answered for a while: unknown.

An old figure must not look like a new one. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from cosmo.demo.reading import Reading, Stage, Unread

STALE_S = 10.0
"""Figures as old as this are no longer shown. Offsets are asked for every 3 s, and a busy broker takes a few more."""


class Source(StrEnum):
    """Each is asked by itself; the value is what people call it."""

    OUTCOMES = "the topics of outcomes"
    STORE = "the feature store"
    OFFSETS = "the groups' offsets"
    PROMPTS = "infer's metrics"
    HELD_BACK = "sample's metrics"


OF_WORKERS = frozenset({Source.PROMPTS, Source.HELD_BACK})
"""Told by the workers themselves, which begin to run when the watching does, and end before it."""
START_S = 40.0
"""So long a worker may take until it tells its figures for the first time: they load on a machine that is busy then."""


@dataclass(slots=True, kw_only=True)
class Freshness:
    """When each source was read last, on a monotonic clock, and why it was not since."""

    began_s: float
    _read_s: dict[Source, float]
    _reasons: dict[Source, str]

    @classmethod
    def since(cls, now_s: float) -> Freshness:
        return cls(began_s=now_s, _read_s={}, _reasons={})

    def read(self, source: Source, now_s: float) -> None:
        self._read_s[source] = now_s
        self._reasons.pop(source, None)

    def failed(self, source: Source, reason: str) -> None:
        self._reasons[source] = reason

    def unread(self, now_s: float) -> dict[Source, Unread]:
        """The sources that have not been read for too long, a watcher that hangs in one of them included. A worker that
        only starts is none of them."""
        ages = {source: now_s - self._read_s.get(source, self.began_s) for source in Source}
        return {
            source: Unread(seconds=age_s, reason=self._reasons.get(source, "no answer yet"))
            for source, age_s in ages.items()
            if age_s > (START_S if source in OF_WORKERS and source not in self._read_s else STALE_S)
        }


def without(reading: Reading, unread: Mapping[Source, Unread]) -> Reading:
    """The reading with every figure of an unread source unknown. What has happened stays: the first feature, intents
    seen."""
    for source in unread:
        match source:
            case Source.OUTCOMES:
                reading = replace(reading, intents_kept=None, rejected=None, dead_letters=None)
            case Source.STORE:
                reading = replace(reading, entities=None, learned_now=None, askable=())
            case Source.OFFSETS:
                nothing = [_unknown(stage) for stage in reading.stages]
                reading = replace(reading, stages=nothing, pairs=None, queued_pairs=None)
            case Source.PROMPTS:
                reading = replace(reading, prompts=None)
            case Source.HELD_BACK:
                reading = replace(reading, held_back_pairs=None)
    return replace(reading, unread={str(source): one for source, one in unread.items()})


def after_workers(reading: Reading, before: Reading) -> Reading:
    """The reading once the workers have ended: what only they tell is what they told ``before`` that, and nobody misses
    their answers."""
    of_workers = {str(source) for source in OF_WORKERS}
    unread = {source: one for source, one in reading.unread.items() if source not in of_workers}
    unread |= {source: one for source, one in before.unread.items() if source in of_workers}
    return replace(reading, prompts=before.prompts, held_back_pairs=before.held_back_pairs, unread=unread)


def _unknown(stage: Stage) -> Stage:
    return Stage(name=stage.name, taken=None, given=None, refused=None, lag=None, lag_s=None)


@dataclass(slots=True)
class RisingCount:
    """A counter of a process that begins at 0 again whenever the process does; what it counted between our last look
    and its death is not seen, so the total is the least that it can be."""

    _before: int = 0
    _last: int = 0

    def total(self, now: int) -> int:
        if now < self._last:
            self._before += self._last
        self._last = now
        return self._before + now
