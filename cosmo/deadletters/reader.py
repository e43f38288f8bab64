"""Reads dead letters as they lie, without a group and without moving anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cosmo.deadletters import letter
from cosmo.deadletters.letter import DLQ, Letter
from cosmo.deadletters.topics import Bounds, bounds
from cosmo.runtime.settings import Settings
from streams.kafka.reading import messages_to_end


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters: all that every given condition holds for. Offsets are the letters' own, both ends included."""

    reasons: frozenset[str] = frozenset()
    partition: int | None = None
    first_offset: int | None = None
    last_offset: int | None = None

    @property
    def everything(self) -> bool:
        return self == Wanted()

    def holds(self, one: Letter) -> bool:
        return (
            (not self.reasons or one.reason in self.reasons)
            and (self.partition is None or one.partition == self.partition)
            and (self.first_offset is None or one.offset >= self.first_offset)
            and (self.last_offset is None or one.offset <= self.last_offset)
        )


ALL = Wanted()


def letters(
    settings: Settings, source: str, wanted: Wanted = ALL, given_up: Callable[[], bool] = lambda: False
) -> Iterator[Letter]:
    """The letters of one topic (its bare name) that were there at the call, in the order of each partition.

    Raises CosmoError, when brokers do not answer, and soon after ``given_up`` says that nobody waits for them any more.
    """
    name = settings.topic_prefix + source + DLQ
    for partition, (start, end) in bounds(settings, [name]).get(name, Bounds()).items():
        if wanted.partition in {None, partition}:
            yield from _of_partition(settings, name, partition, (start, end), wanted, given_up=given_up)


def _of_partition(
    settings: Settings,
    name: str,
    partition: int,
    held: tuple[int, int],
    wanted: Wanted,
    *,
    given_up: Callable[[], bool],
) -> Iterator[Letter]:
    first = max(held[0], wanted.first_offset or 0)
    end = held[1] if wanted.last_offset is None else min(held[1], wanted.last_offset + 1)
    if first >= end:
        return
    for message in messages_to_end(settings, name, partition, first_offset=first, given_up=given_up):
        found = letter.of(message)
        if found.offset < end and wanted.holds(found):
            yield found
        if found.offset >= end - 1:
            return
