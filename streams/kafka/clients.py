"""One translation of the settings into librdkafka's names, for every producer, consumer and admin client."""

from __future__ import annotations

from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from cosmo.runtime.settings import Settings

QUIET = {"log_level": 2}
"""For who waits for the answer and raises: librdkafka's own account of a failure, on standard error, would be hundreds
of lines beside the one sentence about it."""


def client_config(settings: Settings) -> dict[str, str | int | float | bool]:
    """What every librdkafka client needs to reach the brokers; the secrets are in it, so never log it."""
    config: dict[str, str | int | float | bool] = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
        # After a broker restart the default back-off of 10 s would be felt as latency.
        "reconnect.backoff.max.ms": 2000,
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        config["sasl.mechanism"] = settings.kafka_sasl_mechanism
        config["sasl.username"] = settings.kafka_sasl_username
        config["sasl.password"] = settings.kafka_sasl_password.get_secret_value()
    if settings.kafka_ssl_ca_location:
        config["ssl.ca.location"] = settings.kafka_ssl_ca_location
    return config


def admin(settings: Settings) -> AdminClient:
    """An admin client; it connects at its first call."""
    return AdminClient(client_config(settings) | QUIET)


def group_reader(settings: Settings, group: str) -> Consumer:
    """A consumer for reading what ``group`` has committed. It never joins the group and commits nothing.

    Not the admin client: while a coordinator moves or loads, librdkafka 2.16 answers the admin client's
    list_consumer_group_offsets with a segmentation fault.
    """
    return Consumer(client_config(settings) | QUIET | {"group.id": group, "enable.auto.commit": False})


def log_reader(settings: Settings) -> Consumer:
    """A consumer for reading partitions by assignment. It belongs to no group and commits nothing. For it a log ends
    where the first open transaction begins."""
    return Consumer(
        client_config(settings)
        | QUIET
        | {
            "group.id": "unused",  # librdkafka asks for one; without subscribe or commit no group comes to be
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,  # the end of a log is told only after this wait
            "fetch.message.max.bytes": 16 * 1024 * 1024,
        }
    )
