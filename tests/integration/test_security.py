"""TLS and passwords, on a real broker: every Kafka client of ours uses them, and none gets in without."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from cosmo.lag import LagReader
from cosmo.runtime.deadline import Deadline
from cosmo.runtime.settings import Settings
from cosmo.stack.home import Home
from cosmo.stack.ports import Ports
from streams import topics
from streams.kafka.admin import create_topics
from streams.kafka.producer import ConfirmingProducer
from tests.integration.test_transport import RecordingHandler, at_once, quick, worker
from tests.support.processes import until
from tests.support.secured_kafka import MECHANISM, PASSWORD, USER, SecuredKafka

pytestmark = pytest.mark.integration

START_S = 60.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    home = Home.at(tmp_path_factory.mktemp("secured"), cache=Settings().home / "cache")
    home.create(min_free_bytes=0)
    part = SecuredKafka(home, ports=Ports.free(brokers=1))
    part.prepare(lambda _: None)
    part.start()
    try:
        assert until(part.ready, within_s=START_S), part.children[0].last_words()
        yield part
    finally:
        part.stop(Deadline.after(10.0))


@pytest.fixture
def secured(broker: SecuredKafka, topic_prefix: str) -> Settings:
    return Settings(
        kafka_bootstrap_servers=broker.address,
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism=MECHANISM,
        kafka_sasl_username=USER,
        kafka_sasl_password=SecretStr(PASSWORD),
        kafka_ssl_ca_location=str(broker.ca_file),
        topic_prefix=topic_prefix,
        topic_partitions=1,
    )


async def test_every_client_gets_in_with_the_password(secured: Settings) -> None:
    """Admin and producer (librdkafka), worker (aiokafka under Faust), and the lag reader."""
    assert len(await asyncio.to_thread(create_topics, secured)) > len(topics.ALL)
    topic = secured.topic_prefix + topics.ENTITY_INTENTS.name
    async with ConfirmingProducer(secured) as producer:
        await producer.send(topic, b"value")
    handler = RecordingHandler(at_once)
    running = worker(quick(secured), handler)
    task = asyncio.create_task(running.run())
    await handler.until(lambda: handler.seen == [(0, 0)])
    running.request_stop()
    await task
    group = topics.group("materialize", secured.topic_prefix)
    assert await asyncio.to_thread(_groups, secured, group) == [group]


def test_a_wrong_password_gets_nobody_in(broker: SecuredKafka) -> None:
    heard: list[int] = []
    wrong: dict[str, Any] = {**broker.client_config, "sasl.password": "wrong", "log_level": 0}
    intruder = AdminClient(wrong | {"error_cb": lambda error: heard.append(error.code())})
    assert until(lambda: intruder.poll(0.1) >= 0 and KafkaError._AUTHENTICATION in heard, within_s=START_S)


def _groups(settings: Settings, group: str) -> list[str]:
    with LagReader(settings) as reader:
        return [found.group for found in reader.read([group]).groups]
