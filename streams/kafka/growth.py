"""Notices that a topic has been given more partitions while a process runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from confluent_kafka import KafkaException

from cosmo.runtime.errors import CosmoError
from streams.kafka.producer import ConfirmingProducer

LOOK_EVERY_S = 10.0
"""As often as the consumers learn of it."""


async def grown(producer: ConfirmingProducer, topic: str, known: int) -> int:
    """How many partitions the topic has, and ``known`` when the brokers do not tell or one of them lags behind."""
    try:
        return max(known, await asyncio.to_thread(producer.partitions, topic))
    except (CosmoError, KafkaException):
        return known


async def watch(
    producer: ConfirmingProducer, topic: str, known: Callable[[], int], tell: Callable[[int], None]
) -> None:
    """For ever: ``tell`` the number of partitions whenever it is more than what is ``known``."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        found = await grown(producer, topic, known())
        if found > known():
            tell(found)
