"""Lines in, confirmed records out: read, check, encode, send, and account for every line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from confluent_kafka import KafkaError

from cosmo.produce.broker import THIS_RECORD_ONLY, Broker, KafkaBroker
from cosmo.produce.formats import Format, outcomes
from cosmo.produce.hints import hints
from cosmo.produce.interrupts import Interrupts
from cosmo.produce.lines import TWICE, Line
from cosmo.produce.outcomes import LineReason, Outcome, PassedOver, Refusal, Sendable
from cosmo.produce.rate import TokenBucket
from cosmo.produce.slow import said_when_slow
from cosmo.produce.sources import Sources
from cosmo.produce.summary import Summary, Tally
from cosmo.produce.ubi.actions import Actions
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.errors import Refused
from schemas.records import BY_TOPIC
from schemas.registry import Registry, SchemaLookup
from schemas.validate import check
from streams import topics
from streams.kafka.producer import DELIVERY_TIMEOUT_S

INPUTS = {topic.name: topic for topic in topics.CONSUMED["ingest"]}
"""The topics that producers write."""

LOOK_EVERY = 64
LOOK_EVERY_S = 0.2
"""Lines and seconds between two looks at the time of day and at what the broker has confirmed, whichever comes first:
standard input may be quiet for hours."""
REPORT_EVERY_S = 0.2
PATIENCE_S = DELIVERY_TIMEOUT_S + 10.0
"""How long the end waits for confirmations; by then the producer has given up each of them itself."""
MAX_HELD_BYTES = 64 * 1024 * 1024
"""Lines of unconfirmed records, held in case they are refused. A line of 4 MiB may be spaces around a small record, so
the client's own bound does not bound them."""
AGAIN = f"Run the same command again. {TWICE}"
SLICE_S = 0.2
"""How long one wait may hold back a Ctrl-C."""


def ignore(_: Any) -> None:
    """The callback of whoever does not want to be told."""


def send(
    lines: Iterable[Line],
    *,
    topic: str,
    settings: Settings,
    format: Format = Format.NATIVE,  # noqa: A002 - it is what the command calls it, too
    refused: Callable[[Refusal], None] = ignore,
    progress: Callable[[Summary], None] = ignore,
    waiting: Callable[[str], None] = ignore,
    rate_per_s: float | None = None,
    actions: Actions | None = None,
    products: Iterable[Line] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Summary:
    """Send every line that is a good event to ``topic`` (its name without prefix), and account for all of them.

    Every record is confirmed by all in-sync replicas or counted as refused. ``refused`` is called for each line that
    is not sent, ``progress`` a few times a second and once at the end. ``actions`` and ``products`` (a catalogue, one
    product on a line) are for UBI. Blocks; callbacks come from this thread, but for ``waiting``: it is told what is
    waited for when the beginning takes long.

    Ends early, with what was read confirmed as far as possible, on a failing broker or when ``refused`` raises
    CosmoError (``Summary.failure`` says so), and on Ctrl-C or SIGTERM (``Summary.interrupted``); a second one gives up
    what is unconfirmed. Then send all of it again: an event that arrives twice counts once. Raises CosmoError when
    sending cannot begin: unknown topic, no broker, schema not registered.
    """
    if topic not in INPUTS:
        raise CosmoError(f"{topic!r} is no topic that producers write.", advice=f"Choose one of {', '.join(INPUTS)}.")
    with closing(Registry(settings)) as registry:
        interrupts = Interrupts()
        with said_when_slow(waiting, f"brokers at {settings.kafka_bootstrap_servers}"):
            broker = KafkaBroker(
                settings,
                settings.topic_prefix + topic,
                max_bytes=INPUTS[topic].max_message_bytes,
                between=interrupts.check,
            )
        with said_when_slow(waiting, "the schema registry"):
            codec = codec_of(topic, registry)
        sending = Sending(
            broker=broker,
            codec=codec,
            tally=Tally(topic=settings.topic_prefix + topic, started_s=time.monotonic()),
            refused=refused,
            progress=progress,
            bucket=TokenBucket(rate_per_s=rate_per_s) if rate_per_s else None,
            now=now,
            interrupts=interrupts,
        )
        found = outcomes(sending.reading(lines), topic=topic, form=format, actions=actions, products=products)
        with interrupts.listening():
            summary = sending.run(found, close_s=settings.shutdown_s)
        seen = sending.sources
        return replace(summary, read_from=tuple(seen.by_name), hints=hints(seen, topic=topic, form=format))


def codec_of(topic: str, registry: SchemaLookup) -> Codec[Any]:
    """The topic's codec, its schema id looked up already: NotRegistered comes before the first line is read."""
    codec: Codec[Any] = Codec(topic, BY_TOPIC[topic], registry)
    _ = codec.schema_id
    return codec


@dataclass(slots=True, kw_only=True)
class Sending:
    """One run. ``clock`` is monotonic, in seconds."""

    broker: Broker
    codec: Codec[Any]
    tally: Tally
    refused: Callable[[Refusal], None] = ignore
    progress: Callable[[Summary], None] = ignore
    bucket: TokenBucket | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    interrupts: Interrupts = field(default_factory=Interrupts)
    sources: Sources = field(default_factory=Sources)
    _held_bytes: int = 0
    _now: datetime = field(default=datetime(1970, 1, 1, tzinfo=UTC))
    _looked_s: float = 0.0
    _reported_s: float = 0.0

    def run(self, found: Iterable[Outcome], *, close_s: float) -> Summary:
        """Take every outcome to its end, and wait for what is unconfirmed: ``close_s`` at most when it ended early."""
        self._reported_s = self.clock()
        try:
            self._take_all(found)
            self.broker.close(PATIENCE_S)
        except KeyboardInterrupt:
            self.tally.interrupted = True
            self._close_early(close_s)
        except CosmoError as error:  # the input, not the broker
            self.tally.fail(error)
            self._close_early(close_s)
        summary = self.tally.summary(self.clock())
        self.progress(summary)
        return summary

    def reading(self, lines: Iterable[Line]) -> Iterator[Line]:
        """The same lines; the last one read is remembered for the summary, and the first of each input."""
        for line in lines:
            self.tally.last = line
            self.sources.read(line)
            yield line

    def _close_early(self, close_s: float) -> None:
        try:
            self.broker.close(close_s)
        except KeyboardInterrupt:  # who presses again does not want to wait
            self.tally.interrupted = True
            self.broker.give_up()

    def _take_all(self, found: Iterable[Outcome]) -> None:
        for number, outcome in enumerate(self.interrupts.between(found)):
            if number % LOOK_EVERY == 0 or self.clock() - self._looked_s >= LOOK_EVERY_S:
                self._look()
            self._take(outcome)
            if self.tally.failure:
                return

    def _take(self, outcome: Outcome) -> None:
        if isinstance(outcome, Sendable):
            self._send(outcome)
        elif isinstance(outcome, Refusal):
            self._refuse(outcome)
        else:
            self._pass(outcome)
        self.sources.took(outcome)
        self.tally.lines += 1  # not before: while the broker makes it wait, a line may still be interrupted

    def _send(self, event: Sendable) -> None:
        try:
            record: Any = event.record  # check is typed for one of the two at a time
            value = self.codec.encode(check(record, self._now))
        except Refused as error:
            self._refuse(Refusal(event.line, error.reason, error.detail))
            return
        if self.bucket is not None:
            self._wait(self.bucket.take(self.clock()))
        while self._held_bytes > MAX_HELD_BYTES:
            self.broker.poll(SLICE_S)
            self.interrupts.check()
        self.broker.send(value, event.key, event.headers, partial(self._confirmed, event.line, len(value)))
        self._held_bytes += event.line.size_bytes  # a record that was refused at once has been taken off before

    def _wait(self, seconds: float) -> None:
        until_s = self.clock() + seconds
        while (left_s := until_s - self.clock()) > 0:
            self.broker.poll(min(left_s, SLICE_S))
            self.interrupts.check()

    def _confirmed(self, line: Line, size: int, error: KafkaError | None) -> None:
        self._held_bytes -= line.size_bytes
        if error is None:
            self.tally.sent += 1
            self.tally.bytes += size
        elif error.code() in THIS_RECORD_ONLY:
            self._refuse(Refusal(line, LineReason.BROKER_REFUSED, error.str()))
        else:
            what = f"{self.tally.topic} did not confirm a record: {error.str().rstrip('.')}."
            self.tally.fail(CosmoError(what, advice=AGAIN))
            self._refuse(Refusal(line, LineReason.NOT_CONFIRMED, error.str()))

    def _refuse(self, refusal: Refusal) -> None:
        """Also called from within the client, which an exception must not leave: it would lose other confirmations."""
        self.tally.refused[str(refusal.reason)] += 1
        try:
            self.refused(refusal)
        except CosmoError as error:
            self.tally.untold += 1
            self.tally.fail(error)

    def _pass(self, outcome: PassedOver) -> None:
        self.tally.passed[outcome.why] += 1

    def _look(self) -> None:
        self.broker.poll()
        self._now, now_s = self.now(), self.clock()
        self._looked_s = now_s
        if now_s - self._reported_s >= REPORT_EVERY_S:
            self._reported_s = now_s
            self.progress(self.tally.summary(now_s))
