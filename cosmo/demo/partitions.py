"""Which partitions there are. A topic keeps as many as it was made with, whatever COSMO_TOPIC_PARTITIONS says now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from cosmo.runtime.errors import CosmoError


class Listing(Protocol):
    """The part of a client that is needed; it answers with a ``ClusterMetadata``, which the package does not export."""

    def list_topics(self, *, timeout: float) -> Any: ...


def partitions_of(client: Listing, topics: Iterable[str], timeout_s: float) -> list[tuple[str, int]]:
    """Every partition of the topics, by name and number. Raises KafkaException when no broker answers in time, and
    CosmoError when a topic is not there."""
    listed = client.list_topics(timeout=timeout_s).topics
    found: list[tuple[str, int]] = []
    for topic in topics:
        known = listed.get(topic)
        if known is None or known.error is not None:
            raise CosmoError(f"Kafka has no topic {topic}.", advice="`cosmo stack up` makes topics.")
        found += [(topic, number) for number in sorted(known.partitions)]
    return found
