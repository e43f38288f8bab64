"""The dead-letter topics by the names that people give them."""

from __future__ import annotations

from contextlib import closing

from confluent_kafka import KafkaException

from cosmo.deadletters.letter import DLQ
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from streams.kafka.clients import admin, log_reader
from streams.kafka.lag import end_offsets, start_offsets
from streams.topics import CONSUMED

REACH_S = 15.0

SOURCES = tuple(topic.name for consumed in CONSUMED.values() for topic in consumed)
"""Every topic that has dead letters, in the order of the stream."""


def source_name(given: str, prefix: str) -> str:
    """The topic's bare name, from ``query-purchase``, ``query-purchase.dlq``, or either with the prefix before it.

    Raises CosmoError for a topic without dead letters.
    """
    for name in (given, given.removeprefix(prefix)):
        bare = name.removesuffix(DLQ)
        if bare in SOURCES:
            return bare
    raise CosmoError(f"{given!r} has no dead letters.", advice=f"Topics that have: {', '.join(SOURCES)}.")


Bounds = dict[int, tuple[int, int]]
"""(first offset kept, end) by partition."""


def bounds(settings: Settings, names: list[str]) -> dict[str, Bounds]:
    """What each of these topics (full names) holds now; a topic that does not exist is left out.

    Raises CosmoError when no broker answers.
    """
    try:
        known = admin(settings).list_topics(timeout=REACH_S).topics
        wanted = [(name, number) for name in names if name in known for number in known[name].partitions]
        with closing(log_reader(settings)) as reader:
            starts, ends = start_offsets(reader, wanted), end_offsets(reader, wanted)
    except KafkaException as error:
        raise CosmoError(
            f"No Kafka broker answers at {settings.kafka_bootstrap_servers}: {error.args[0].str()}.",
            advice="Start one with `cosmo stack up`, or set KAFKA_BOOTSTRAP_SERVERS.",
        ) from error
    found: dict[str, Bounds] = {name: {} for name in names if name in known}
    for (name, number), end in sorted(ends.items()):
        found[name][number] = (starts[name, number], end)
    return found
