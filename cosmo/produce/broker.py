"""Sends that are confirmed one by one, without an event loop: for a command that reads a file as fast as it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined]  # public in the docs

from cosmo.produce.outcomes import Headers
from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from streams.kafka.clients import admin, client_config
from streams.kafka.producer import DELIVERY_TIMEOUT_S

MAX_IN_FLIGHT = 20_000
"""Records sent and not yet confirmed. Each holds its line, in case it is refused, so this bounds the memory; a broker
confirms this many in well under a second."""

MAX_IN_FLIGHT_KBYTES = 64 * 1024
BATCH_BYTES = 1_000_000
REACH_S = 15.0
FULL_QUEUE_POLL_S = 0.1
SLICE_S = 0.2
"""How long one call may hold back a Ctrl-C."""

THIS_RECORD_ONLY = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.POLICY_VIOLATION,
    }
)
"""Errors that say something about one record. After any other the next record would fare no better."""


class Confirmed(Protocol):
    """Called once for each record, from within `send`, `poll` or `close`: with None, or with what went wrong."""

    def __call__(self, error: KafkaError | None, /) -> None: ...


class Broker(Protocol):
    """What sending needs of a broker."""

    def send(self, value: bytes | None, key: bytes | None, headers: Headers, confirmed: Confirmed) -> None:
        """Hand over one record. Waits while too many are unconfirmed: a slow broker slows the sender down."""

    def poll(self, timeout_s: float = 0.0) -> None:
        """Let confirmations come in; waits for one at most this long."""

    def close(self, timeout_s: float) -> int:
        """Wait for what is unconfirmed; how many records still are at the end, which then are given up."""

    def give_up(self) -> None:
        """Wait for nothing more: what is unconfirmed is told so, record by record."""


def _nothing() -> None:
    """Between two waits nobody wants to do anything."""


class KafkaBroker:
    """An idempotent producer (acks=all) for one topic: no duplicate by retries, and the order of sending is kept."""

    def __init__(
        self, settings: Settings, topic: str, *, max_bytes: int, between: Callable[[], None] = _nothing
    ) -> None:
        """``between`` is called a few times a second while a call waits, and may raise what ends the wait.

        Raises CosmoError when no broker answers or the topic does not exist."""
        self._between = between
        _check_reachable(settings, topic)
        self._topic = topic
        limit = _topic_limit(settings, topic)
        self._producer = Producer(
            client_config(settings)
            | {
                "enable.idempotence": True,
                "compression.type": "zstd",
                "linger.ms": 20,  # batches of thousands; nobody waits for a single event here
                "delivery.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000),
                "message.max.bytes": max_bytes,
                "batch.size": min(BATCH_BYTES, limit or BATCH_BYTES),
                "queue.buffering.max.messages": MAX_IN_FLIGHT,
                "queue.buffering.max.kbytes": MAX_IN_FLIGHT_KBYTES,
                "log_level": 0,  # what goes wrong is said once, by us
            }
        )

    def send(self, value: bytes | None, key: bytes | None, headers: Headers, confirmed: Confirmed) -> None:
        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            confirmed(error)

        while True:
            try:
                self._producer.produce(
                    self._topic, value=value, key=key, headers=list(headers), on_delivery=on_delivery
                )
            except BufferError:
                self._producer.poll(FULL_QUEUE_POLL_S)
                self._between()
            except KafkaException as error:  # refused before it was queued: too large
                confirmed(error.args[0])
                return
            else:
                return

    def poll(self, timeout_s: float = 0.0) -> None:
        self._producer.poll(timeout_s)

    def close(self, timeout_s: float) -> int:
        deadline = Deadline.after(timeout_s)
        left = self._producer.flush(SLICE_S)
        while left and not deadline.expired:
            self._between()
            left = self._producer.flush(SLICE_S)
        if left:
            self.give_up()
        return left

    def give_up(self) -> None:
        self._producer.purge()
        self._producer.flush(1.0)  # their callbacks say that they were purged


def _topic_limit(settings: Settings, topic: str) -> int | None:
    """The topic's max.message.bytes, which brokers hold against whole batches: in a larger batch one record that is
    too large would take its neighbours with it. None where we may not ask."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        client = admin(settings)  # held: its futures fail when it is collected
        found = client.describe_configs([resource], request_timeout=REACH_S)[resource].result()
    except KafkaException:
        return None
    return int(found["max.message.bytes"].value)


def _check_reachable(settings: Settings, topic: str) -> None:
    """All topics are listed, since asking for one by name can create it."""
    try:
        known = admin(settings).list_topics(timeout=REACH_S).topics
    except KafkaException as error:
        raise CosmoError(
            f"No Kafka broker answers at {settings.kafka_bootstrap_servers}: {error.args[0].str()}.",
            advice="Start one with `cosmo stack up`, or set KAFKA_BOOTSTRAP_SERVERS.",
        ) from error
    if topic not in known:
        raise CosmoError(
            f"Topic {topic} does not exist at {settings.kafka_bootstrap_servers}.",
            advice="`cosmo topics create` creates the topics; COSMO_TOPIC_PREFIX goes before their names.",
        )
