"""Sends that are done when the broker has confirmed them, and not before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import CosmoError, StopWorker
from cosmo.runtime.settings import Settings
from streams.kafka.clients import QUIET, client_config

Headers = Sequence[tuple[str, bytes | None]]

DELIVERY_TIMEOUT_S = 120.0
"""How long librdkafka retries a send before the worker gives up, exits, and has its records redelivered.
Long enough for a coordinator to move (14 s measured); shorter would turn broker restarts into worker restarts."""

QUEUE_KBYTES = 256 * 1024
"""Bound of the send queue; when it is full `send_nowait` raises BufferError and the caller waits: memory stays flat."""

MAX_RECORD_BYTES = 128 * 1024 * 1024
"""Before compression; how large after it, the topics say. A record that came in compressed must go out again as a dead
letter, and what is larger than half the queue might never find room in it."""

FULL_QUEUE_PAUSE_S = 0.01


class SinkUnconfirmed(CosmoError):  # noqa: N818 - an outcome, named by what it says
    """The broker did not confirm a send in time; the record that caused it stays uncommitted and comes again."""

    retriable = True


class ConfirmingProducer:
    """An idempotent producer (acks=all) whose sends are futures of the running event loop.

    Records of one partition are written in the order sent. A future ends with None when all in-sync replicas have
    the record, with `SinkUnconfirmed`, or with StopWorker where the topic takes no such record. Use it as an async
    context manager: leaving it waits for the queue to drain.
    """

    def __init__(self, settings: Settings, *, linger_ms: float = 5.0) -> None:
        self._settings = settings
        self._linger_ms = linger_ms
        self._producer: Producer | None = None
        self._closing = threading.Event()
        self._poller: threading.Thread | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._producer = Producer(
            client_config(self._settings)
            | QUIET  # what is not confirmed is told; of brokers that are away aiokafka's log tells in every worker
            | {
                "enable.idempotence": True,
                "compression.type": "zstd",
                "linger.ms": self._linger_ms,
                "delivery.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000),
                "message.max.bytes": MAX_RECORD_BYTES,
                "queue.buffering.max.kbytes": QUEUE_KBYTES,
            }
        )
        self._poller = threading.Thread(target=self._poll, name="confirming-producer", daemon=True)
        self._poller.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close(Deadline.after(self._settings.shutdown_s))

    async def close(self, deadline: Deadline) -> None:
        """Wait for what is queued, within the deadline, then let the client go. Unconfirmed sends stay unconfirmed."""
        if self._producer is None or self._poller is None:
            return
        await asyncio.to_thread(self._producer.flush, deadline.remaining_s)
        self._closing.set()
        await asyncio.to_thread(self._poller.join)
        self._producer = self._poller = None

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> None:
        """Send one record and wait until the broker has confirmed it."""
        await (await self.enqueue(topic, value, key=key, headers=headers, partition=partition))

    async def enqueue(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> asyncio.Future[None]:
        """`send_nowait` when there is room in the queue; waiting for it is how slow brokers slow the sender down."""
        while True:
            try:
                return self.send_nowait(topic, value, key=key, headers=headers, partition=partition)
            except BufferError:
                await asyncio.sleep(FULL_QUEUE_PAUSE_S)

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has. Blocks; raises CosmoError when the topic does not exist."""
        assert self._producer is not None
        found = self._producer.list_topics(topic, timeout=DELIVERY_TIMEOUT_S).topics[topic]
        if found.error is not None:
            raise CosmoError(f"Topic {topic} does not exist.", advice="Run `cosmo topics create`.")
        return len(found.partitions)

    def send_nowait(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> asyncio.Future[None]:
        """Queue one record; the future ends when the broker has confirmed it. BufferError when the queue is full."""
        if self._producer is None:
            raise CosmoError("The producer is not open.", advice="Use it inside `async with`.")
        confirmed = self._loop.create_future()

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            self._loop.call_soon_threadsafe(_settle, confirmed, error, topic)

        self._producer.produce(
            topic,
            value=value,
            key=key,
            headers=list(headers),
            partition=-1 if partition is None else partition,
            on_delivery=on_delivery,
        )
        return confirmed

    def _poll(self) -> None:
        assert self._producer is not None  # started by __aenter__ only
        while not self._closing.is_set():
            self._producer.poll(0.1)


def _settle(confirmed: asyncio.Future[None], error: KafkaError | None, topic: str) -> None:
    if confirmed.done():  # cancelled by a caller that stopped waiting
        return
    if error is None:
        confirmed.set_result(None)
    else:
        failure = _failure(error, topic)
        failure.__cause__ = KafkaException(error)
        confirmed.set_exception(failure)


def _failure(error: KafkaError, topic: str) -> CosmoError:
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:  # a restart would meet the same record again, and again
        return StopWorker(
            f"{topic} does not take a record, for its size: {error.str()}.",
            advice="Raise the topic's max.message.bytes (of a dead-letter topic to 100663296, as `cosmo topics create` "
            "makes it), then start again.",
        )
    return SinkUnconfirmed(f"{topic} did not confirm a record: {error.str()}.", advice="Look at the brokers.")
