from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaException

from cosmo.runtime.settings import Settings
from streams.kafka.clients import admin, group_reader, log_reader


@pytest.mark.parametrize("client", [admin, log_reader, lambda settings: group_reader(settings, "nobody")])
def test_brokers_that_are_away_are_told_by_the_exception_alone(
    client: Callable[[Settings], Any], capfd: pytest.CaptureFixture[str]
) -> None:
    asking = client(Settings(kafka_bootstrap_servers="127.0.0.1:1"))
    with pytest.raises(KafkaException):
        asking.list_topics(timeout=0.3)
    assert capfd.readouterr().err == ""
