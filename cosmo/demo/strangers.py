"""Records that another producer might send, past every check of ours: the workers must cope, and dead-letter them."""

from __future__ import annotations

from confluent_kafka import Producer

from cosmo.runtime.settings import Settings
from streams import topics
from streams.kafka.clients import client_config

VALUES: tuple[bytes | None, ...] = (
    b'{"query": "milk", "action": "CLICK"}',  # JSON, unframed
    b"",
    None,
    b"\x00\x7f\xff\xff\xff\x06abc",  # a schema id that nobody registered
    b"\x00\x00",  # ends within the schema id
    b"\x05\x00\x00\x00\x01\x06abc",  # a magic byte of the future
)
"""Each is sent to both input topics."""

FLUSH_S = 10.0


def send(settings: Settings) -> int:
    """Send them all; how many the broker took in time."""
    producer = Producer(client_config(settings) | {"log_level": 0, "message.timeout.ms": int(FLUSH_S * 1000)})
    for topic in topics.CONSUMED["ingest"]:
        for value in VALUES:
            producer.produce(settings.topic_prefix + topic.name, value=value)
    sent = 2 * len(VALUES)
    return sent - producer.flush(FLUSH_S)
