"""The demonstration counts topics as the brokers have them, made under whatever setting."""

from __future__ import annotations

from contextlib import closing

import pytest
from confluent_kafka import Producer

from cosmo.demo.outcome_logs import OutcomeLogs
from cosmo.demo.stages import written
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import Intent
from schemas.registry import Registry
from streams import topics
from streams.kafka.admin import create_topics
from streams.kafka.clients import client_config, log_reader
from tests.features.examples import intent
from tests.support.processes import until

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(("made", "set_now"), [(4, 2), (2, 4)], ids=["more", "fewer"])
def test_an_intent_in_each_partition_is_counted_whatever_the_setting_says_now(
    settings: Settings, made: int, set_now: int
) -> None:
    _send_one_to_each(settings, made)
    later = settings.model_copy(update={"topic_partitions": set_now})
    create_topics(later)
    with OutcomeLogs.of(later) as logs:
        assert until(lambda: logs.read(0.2) is not None and logs.complete, within_s=20.0)
        assert logs.outcomes.kept == made
    with closing(log_reader(later)) as reader:
        assert written(reader, later.topic_prefix, 10.0)[topics.INTENTS.name] == made


def _send_one_to_each(settings: Settings, made: int) -> None:
    create_topics(settings.model_copy(update={"topic_partitions": made}))
    producer = Producer(client_config(settings))
    with closing(Registry(settings)) as registry:
        registry.register(topics.INTENTS.name)
        codec = Codec(topics.INTENTS.name, Intent, registry)
        for number in range(made):
            value = codec.encode(intent(intent_id=f"i{number}"))
            topic = settings.topic_prefix + topics.INTENTS.name
            producer.produce(topic, value=value, key=b"i%d/p" % number, partition=number)
    assert producer.flush(30.0) == 0
