"""Whether the store is whole: it says all that the log of intents says, but for what materialize has yet to read.

A mark beside the rows says so, and lets readers in. It goes with the rows when Redis is emptied. From then on new
evidence would be merged into nothing and pass for all that is known, so the mark is set again only by who can know: the
rebuild, which has read the log, and whoever finds that an empty store lacks nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.settings import Settings
from cosmo.runtime.waiting import pause_s
from features import project
from features.errors import StoreEmptied
from features.online.retry import persistently
from features.online.store import OnlineStore
from streams import topics
from streams.kafka.clients import group_reader
from streams.kafka.lag import TIMEOUT_S, LagUnknown, end_offsets, start_offsets

EMPTIED = "lacks features that the log knows: run `cosmo features rebuild`"
"""Said of Redis by who finds no mark and may set none."""
PATIENCE_S = 10.0
"""With brokers that cannot tell yet; a person may be waiting."""
DEPENDENCY = "rebuild of the features"
"""What a writer of an emptied store waits for, as /healthz names it."""


async def marked(store: OnlineStore, settings: Settings) -> bool:
    """Whether readers are let in now. A mark that is there is renewed; where there is none, one is set if even an empty
    store lacks nothing. Raises StoreUnreachable, StoreRefused, LagUnknown."""
    if await store.renew_mark(project.fingerprint()):
        return True
    if not await _lacks_nothing(settings):
        return False
    await store.mark_applied(project.fingerprint())
    return True


@dataclass(slots=True)
class Door:
    """Keeps the writer of a stream out of a store that is not whole.

    It sets the mark itself at most once, before this process has merged anything: what was merged later may lie in no
    row and in no committed offset, and would be missed by nobody.
    """

    store: OnlineStore
    settings: Settings
    _decided: bool = False

    def lets_in(self, mark: str | None) -> bool:
        """Asked with the mark that was read with the rows."""
        self._decided |= mark is not None
        return mark is not None

    async def opened(self) -> None:
        """Returns when the store is whole; without end, for only a person can order a rebuild. Raises StoreRefused."""
        await persistently(self._look, dependency=DEPENDENCY)

    async def _look(self) -> None:
        mark, _ = await self.store.read_applied([], {})
        if mark is not None:
            return
        if not self._decided:
            whole = await marked(self.store, self.settings)
            self._decided = True
            if whole:
                return
        raise StoreEmptied(f"Redis {EMPTIED}.")


async def _lacks_nothing(settings: Settings) -> bool:
    """As `lacks_nothing`; asked again for a while, since topics that were just made have no leaders at first."""
    deadline, attempt = Deadline.after(PATIENCE_S), 0
    while True:
        try:
            return await asyncio.to_thread(lacks_nothing, settings)
        except LagUnknown:
            if deadline.expired:
                raise
        await asyncio.sleep(pause_s(attempt))
        attempt += 1


def lacks_nothing(settings: Settings) -> bool:
    """Whether even an empty store lacks nothing: the log of intents is empty, or the stream brings all of it, as
    materialize has committed nothing and every record for it is still kept. Blocks; raises LagUnknown."""
    reader = group_reader(settings, topics.group("materialize", settings.topic_prefix))
    try:
        log, stream = (settings.topic_prefix + topic.name for topic in (topics.INTENTS, topics.ENTITY_INTENTS))
        return _is_empty(reader, log) or _is_unread(reader, stream)
    except KafkaException as error:
        raise LagUnknown(
            f"Kafka at {settings.kafka_bootstrap_servers} does not tell whether features are known already: "
            f"{error.args[0].str()}.",
            advice="Start it with `cosmo stack up`, or set KAFKA_BOOTSTRAP_SERVERS.",
        ) from error
    finally:
        reader.close()


def _is_empty(reader: Consumer, topic: str) -> bool:
    partitions = _partitions(reader, topic)
    return start_offsets(reader, partitions) == end_offsets(reader, partitions)


def _is_unread(reader: Consumer, topic: str) -> bool:
    partitions = _partitions(reader, topic)
    committed = reader.committed([TopicPartition(*one) for one in partitions], timeout=TIMEOUT_S) if partitions else []
    for one in committed:
        if one.error is not None:
            raise KafkaException(one.error)
    kept = all(start == 0 for start in start_offsets(reader, partitions).values())
    return bool(partitions) and kept and all(one.offset <= 0 for one in committed)  # below 0: nothing committed


def _partitions(reader: Consumer, topic: str) -> list[tuple[str, int]]:
    """None if there is no such topic: then nothing was ever written to it."""
    found = reader.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
    if found.error is None:
        return [(topic, number) for number in sorted(found.partitions)]
    if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return []
    raise KafkaException(found.error)
