"""What ``cosmo dlq`` does, from the settings to the result."""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

from cosmo.deadletters import marks
from cosmo.deadletters.count import Count, count
from cosmo.deadletters.examine import Examined, examine, examiner, outlook
from cosmo.deadletters.letter import DLQ, Letter
from cosmo.deadletters.reader import Wanted, letters
from cosmo.deadletters.replay import Replay, Replayed
from cosmo.deadletters.topics import SOURCES, bounds
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from schemas.registry import Registry
from streams.kafka.producer import ConfirmingProducer
from streams.topics import REPLAYS


def counts(settings: Settings, source: str | None = None) -> list[Count]:
    """The letters of one topic (its bare name), or of all, counted by reason. Raises CosmoError."""
    return count(_with_marks(settings, SOURCES if source is None else (source,)))


def _with_marks(settings: Settings, sources: tuple[str, ...]) -> Iterator[tuple[Letter, bool]]:
    held = bounds(settings, [settings.topic_prefix + source + DLQ for source in sources])
    if not held:
        raise CosmoError(
            f"None of these topics exists: {', '.join(settings.topic_prefix + source + DLQ for source in sources)}.",
            advice="`cosmo topics create` creates them; COSMO_TOPIC_PREFIX goes before their names.",
        )
    for source in sources:
        name = settings.topic_prefix + source + DLQ
        if any(end > start for start, end in held.get(name, {}).values()):
            known = marks.load(settings, name)
            for letter in letters(settings, source):
                yield letter, known.replayed(letter)


def newest(settings: Settings, source: str, wanted: Wanted, limit: int) -> list[tuple[Letter, Examined]]:
    """The newest letters that are wanted, oldest of them first, each looked at again. Raises CosmoError."""
    found = heapq.nlargest(limit, letters(settings, source, wanted), key=lambda one: (one.timestamp_ms, one.offset))
    with closing(Registry(settings)) as registry:
        return [(one, examine(one, source, registry, datetime.now(UTC))) for one in reversed(found)]


def replay(
    settings: Settings,
    source: str,
    wanted: Wanted,
    *,
    dry_run: bool = False,
    again: bool = False,
    max_replays: int,
) -> Replayed:
    """Replay the letters of a topic (its bare name) that are wanted and were there at the call.

    With ``dry_run`` nothing is sent; the figures are what would be, and each letter is examined. When the brokers fail
    in the middle, or Ctrl-C ends it, the figures say what was done by then, and why it ended. Raises CosmoError when it
    cannot begin.
    """
    name = settings.topic_prefix + source + DLQ
    held = bounds(settings, [name, name.removesuffix(DLQ)])
    partitions = len(held.get(name.removesuffix(DLQ), {}))
    if not partitions and not dry_run:
        raise CosmoError(f"Topic {name.removesuffix(DLQ)} does not exist.", advice="`cosmo topics create` creates it.")
    run = Replay(
        marks=marks.load(settings, name, needed=not dry_run),
        marks_topic=settings.topic_prefix + REPLAYS.name,
        source_partitions=partitions,
        max_replays=max_replays,
        again=again,
        now=lambda: datetime.now(UTC),
    )
    done = Replayed(topic=name.removesuffix(DLQ))
    interrupted = threading.Event()
    found = letters(settings, source, wanted, interrupted.is_set)
    if dry_run:
        _foresee(settings, source, run.chosen(found, done), done)
    else:
        try:
            expired = run.marks.expired(held.get(name, {}))
            asyncio.run(_replay(settings, run, found, done, expired, interrupted=interrupted))
        except KeyboardInterrupt:
            done.interrupted = True
        except CosmoError as error:
            done.failure = done.failure or str(error)
    return done


def _foresee(settings: Settings, source: str, chosen: Iterator[Letter], done: Replayed) -> None:
    with closing(Registry(settings)) as registry:
        look = examiner(source, registry)
        for letter, examined in outlook(chosen, lambda one: look(one, datetime.now(UTC))):
            done.add(letter)
            done.expect(examined)


async def _replay(
    settings: Settings,
    run: Replay,
    found: Iterator[Letter],
    done: Replayed,
    expired: list[bytes],
    *,
    interrupted: threading.Event,
) -> None:
    """Sets ``interrupted`` at Ctrl-C: the thread that reads is waited for, and brokers may have fallen silent."""
    try:
        async with ConfirmingProducer(settings) as producer:
            await run.run(found, producer, done)
            await run.forget(expired, producer)
    except asyncio.CancelledError:
        interrupted.set()
        raise
