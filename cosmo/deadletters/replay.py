"""Sends dead letters back to their topic, byte for byte, each once. A record that comes back is another letter.

For every batch: 1. send the records, 2. wait until the broker has confirmed them, 3. mark those that it has, 4. wait
for the marks. A letter that is marked is not replayed again unless it is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from confluent_kafka import KafkaException

from cosmo.deadletters import marks
from cosmo.deadletters.examine import Examined, Verdict
from cosmo.deadletters.letter import REPLAYS_HEADER, Headers, Letter
from cosmo.deadletters.marks import Marks
from cosmo.runtime.errors import CosmoError

BATCH = 500
"""Letters on their way at once; also what is replayed again at most after a kill."""
BATCH_BYTES = 32 * 1024 * 1024
"""A batch with more than this is cut behind the letter that brought it there: one may have 16 MB."""


class Sender(Protocol):
    """What replaying needs of a producer; `streams.kafka.producer.ConfirmingProducer` is one."""

    async def enqueue(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> asyncio.Future[None]: ...


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What a replay did, also when it ended early. Of those ``replayed``, ``returned`` had been replayed before and
    have come back, each as a letter of its own: perhaps their cause is not mended. ``passed_over`` were replayed
    before, ``parked`` more often than is allowed; ``failed`` the broker did not take or confirm. ``unmarked`` of those
    replayed could not be remembered, and would be sent once more. ``failure`` says what went wrong first;
    ``interrupted``: by Ctrl-C, between two batches. ``now`` counts, in a dry run only, what would become of them by
    verdict, and ``unknown`` says why nobody knows."""

    topic: str
    replayed: int = 0
    returned: int = 0
    passed_over: int = 0
    parked: int = 0
    failed: int = 0
    unmarked: int = 0
    failure: str = ""
    interrupted: bool = False
    by_reason: dict[str, int] = field(default_factory=dict)
    now: dict[str, int] = field(default_factory=dict)
    unknown: str = ""

    def expect(self, examined: Examined) -> None:
        self.now[examined.verdict] = self.now.get(examined.verdict, 0) + 1
        if examined.verdict is Verdict.UNKNOWN:
            self.unknown = self.unknown or examined.detail

    def fail(self, letter: Letter, error: BaseException) -> None:
        self.failed += 1
        self.failure = self.failure or f"{letter.where} was not sent: {error}"

    def forget(self, letter: Letter, error: BaseException) -> None:
        self.unmarked += 1
        self.failure = self.failure or f"{letter.where} was sent, and that could not be remembered: {error}"

    def add(self, letter: Letter) -> None:
        self.replayed += 1
        self.returned += letter.replays > 0
        self.by_reason[letter.reason] = self.by_reason.get(letter.reason, 0) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """One run over the letters of a topic. ``again`` replays also what was replayed before."""

    marks: Marks
    marks_topic: str
    source_partitions: int
    max_replays: int
    now: Callable[[], datetime]
    again: bool = False

    def chosen(self, letters: Iterable[Letter], done: Replayed) -> Iterator[Letter]:
        """The letters to replay; the others are counted in ``done``."""
        for letter in letters:
            if self.marks.replayed(letter) and not self.again:
                done.passed_over += 1
            elif letter.replays >= self.max_replays:
                done.parked += 1
            else:
                yield letter

    async def run(self, letters: Iterable[Letter], sender: Sender, done: Replayed) -> None:
        """Replay what is chosen; ``done`` grows batch by batch, so it is right also after an error.

        A letter that the broker does not take is counted as failed, and the rest goes on. Raises CosmoError when it
        takes none of a batch, or not every mark; what it has confirmed by then counts.
        """
        batches = cut(self.chosen(letters, done))
        while batch := await asyncio.to_thread(next, batches, None):
            sending = asyncio.ensure_future(self._batch(batch, sender, done))
            try:
                await asyncio.shield(sending)
            except asyncio.CancelledError:  # Ctrl-C: no batch is left sent and unmarked
                await sending
                raise

    async def forget(self, keys: Iterable[bytes], sender: Sender) -> None:
        """Take back the marks of letters that the topic no longer holds."""
        await asyncio.gather(*[await sender.enqueue(self.marks_topic, None, key=key) for key in keys])

    async def _batch(self, batch: Sequence[Letter], sender: Sender, done: Replayed) -> None:
        sent = [await self._send(letter, sender) for letter in batch]
        outcomes = list(zip(batch, await asyncio.gather(*sent, return_exceptions=True), strict=True))
        confirmed = [letter for letter, error in outcomes if error is None]
        marked = [await self._mark(letter, sender) for letter in confirmed]
        for letter, error in outcomes:
            if error is not None:
                done.fail(letter, error)
        for letter, error in zip(confirmed, await asyncio.gather(*marked, return_exceptions=True), strict=True):
            done.add(letter)
            if error is not None:
                done.forget(letter, error)
        if not confirmed or done.unmarked:
            raise CosmoError(f"{done.failure}.", advice="Look at the brokers, then run the same command again.")

    async def _send(self, letter: Letter, sender: Sender) -> asyncio.Future[None]:
        """To the partition that it came from, so that it stays with the records of its key."""
        partition = letter.source_partition
        try:
            return await sender.enqueue(
                letter.source,
                letter.value,
                key=letter.key,
                headers=replay_headers(letter),
                partition=partition if partition is not None and partition < self.source_partitions else None,
            )
        except KafkaException as error:  # the client itself refuses it: too large
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    async def _mark(self, letter: Letter, sender: Sender) -> asyncio.Future[None]:
        key = marks.key(letter.topic, letter.partition, letter.offset)
        return await sender.enqueue(self.marks_topic, marks.value(letter, self.now()), key=key)


def cut(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    """The letters in batches: bounded in number, and in bytes but for the last letter of each."""
    batch: list[Letter] = []
    size = 0
    for letter in letters:
        batch.append(letter)
        size += letter.size_bytes
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def replay_headers(letter: Letter) -> Headers:
    """The original headers, and how often the record has been replayed, this time included."""
    original = [header for header in letter.headers if header[0] != REPLAYS_HEADER]
    return [*original, (REPLAYS_HEADER, str(letter.replays + 1).encode())]
