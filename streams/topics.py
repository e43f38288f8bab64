"""Every topic by name: who writes it, how it is kept, and on which key. The one place that names topics and groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic's contract. ``retention`` is None where the topic is compacted: the newest record of a key stays."""

    name: str
    doc: str
    cleanup_policy: Literal["delete", "compact"] = "delete"
    retention: timedelta | None = timedelta(days=7)
    max_message_bytes: int = 1_048_588  # the broker's default; larger only where a record is a block
    config: dict[str, str] = field(default_factory=dict)

    @property
    def dlq(self) -> str:
        return f"{self.name}.dlq"

    @property
    def max_dead_letter_bytes(self) -> int:
        """A dead letter is its record and provenance, perhaps compressed far less well than by whoever sent the record:
        a window larger than ours finds what repeats after megabytes. Where the topic takes small records only, a client
        has no such room; where it takes large ones, whatever fits into a request to a broker is taken."""
        return 2 * self.max_message_bytes if self.max_message_bytes < _BLOCK_BYTES else _REQUEST_BYTES


_BLOCK_BYTES = 16 * 1024 * 1024
_REQUEST_BYTES = 96 * 1024 * 1024
"""Brokers take requests of up to 100 MiB (their socket.request.max.bytes)."""

QUERY_PURCHASE = Topic(
    name="query-purchase", doc="Shoppers' actions after a search. Any key.", max_message_bytes=_BLOCK_BYTES
)
CO_PURCHASE = Topic(name="co-purchase", doc="Orders. Any key.", max_message_bytes=_BLOCK_BYTES)
PAIR_COUNTS = Topic(
    name="pair-counts",
    doc="Blocks of facts for one sampler partition; partition = hash of the head.",
    max_message_bytes=_BLOCK_BYTES,
)
SAMPLE_STATE = Topic(
    name="sample-state",
    doc="The sampler's state in segments; partition = that of pair-counts.",
    cleanup_policy="compact",
    retention=None,
    max_message_bytes=_BLOCK_BYTES,
    config={"min.cleanable.dirty.ratio": "0.1", "delete.retention.ms": "86400000", "segment.ms": "600000"},
)
BEHAVIOR_PAIRS = Topic(name="behavior-pairs", doc="Pairs worth explaining, best first. Key: pair_id.")
INTENT_REQUESTS = Topic(name="intent-requests", doc="Readers' misses. Key: query or product id.", retention=_DAY)
INTENTS = Topic(
    name="intents",
    doc="The knowledge graph's log. Key: intent_id/pair_id; a tombstone retracts.",
    cleanup_policy="compact",
    retention=None,
)
REJECTED_INTENTS = Topic(name="rejected-intents", doc="What did not survive the filters. Key: pair_id.")
ENTITY_INTENTS = Topic(name="entity-intents", doc="Intents by entity, one writer each. Key: QUERY:… or PRODUCT:….")

ALL = (
    QUERY_PURCHASE,
    CO_PURCHASE,
    PAIR_COUNTS,
    SAMPLE_STATE,
    BEHAVIOR_PAIRS,
    INTENT_REQUESTS,
    INTENTS,
    REJECTED_INTENTS,
    ENTITY_INTENTS,
)
REPLAYS = Topic(
    name="dlq-replays",
    doc="Which dead letters were replayed, so that none is by accident twice. Key: its topic[partition]@offset; JSON.",
    cleanup_policy="compact",
    retention=None,
)
"""Not in `ALL`: operators' commands write and read it, no worker does, and it has no schema."""

CONSUMED = {
    "ingest": (QUERY_PURCHASE, CO_PURCHASE),
    "sample": (PAIR_COUNTS,),
    "infer": (BEHAVIOR_PAIRS, INTENT_REQUESTS),
    "materialize": (ENTITY_INTENTS,),
}
"""What each worker reads; every one of these topics has a ``<topic>.dlq``."""


def group(process: str, prefix: str = "") -> str:
    """Consumer group of a worker process."""
    return f"{prefix}cosmo-{process}"
