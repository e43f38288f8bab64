"""The intents that stand: the log read twice, first to learn which record of each key counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from features.knowledge.fold import Latest
from features.knowledge.log import IntentLog, Unreadable, decoded
from schemas.codec import Codec
from schemas.records import Intent

Progress = Callable[[int, int], None]
"""Told how many offsets have been passed, of how many; each is passed twice."""


def current_intents(
    log: IntentLog, codec: Codec[Intent], progress: Progress, unreadable: Unreadable
) -> Iterator[list[Intent]]:
    """Batches of intents, each key once."""
    passed, total = 0, 2 * log.offsets

    def seen(offsets: int) -> None:
        nonlocal passed
        passed += offsets
        progress(passed, total)

    latest = Latest()
    for records in log.records(seen):
        latest.add(records)
    for records in log.records(seen):
        yield [intent for _, intent in decoded(codec, log.topic, latest.current(records), unreadable)]
