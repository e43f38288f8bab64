"""Builds the Faust app of a worker process: the one place that knows why Faust's settings are not its defaults."""

from __future__ import annotations

import os
import platform
import ssl
from typing import Any

import faust
from faust.serializers.codecs import Codec

from cosmo.runtime.settings import Settings
from streams.fetch import transport
from streams.topics import group

MAX_POLL_INTERVAL_S = 24 * 3600.0
"""A worker that waits for a model server that is down does not poll. It must not lose its partitions for that:
they would only move to another that waits as well. A worker that hangs is found by /healthz instead."""

METADATA_MAX_AGE_MS = 10_000
"""aiokafka 0.14 asks for the first offset of a partition without a commit at the leader that it knows, and when that is
the leader no longer it asks again, and again, until its metadata grow old: for five minutes by default."""


class _AsItIs(Codec):
    """No decoding: the transport's value is a `Fetch` already."""

    def _loads(self, s: Any) -> Any:
        return s


class _App(faust.App):
    """Without the directories for tables, which would be made, and stay empty, wherever a worker is started."""

    def _create_directories(self) -> None:
        """None: there are no tables."""


def build_app(settings: Settings, process: str) -> faust.App:
    """The app of ``process``, in consumer group ``<prefix>cosmo-<process>``. It has no tables and no web server."""
    transport.register()
    return _App(
        group(process, settings.topic_prefix),
        broker=[f"{transport.SCHEME}://{host}" for host in settings.kafka_bootstrap_servers.split(",")],
        broker_credentials=_credentials(settings),
        broker_client_id=f"{platform.node()}-{os.getpid()}",  # `cosmo lag --partitions` names it as the owner
        version=1,
        autodiscover=False,
        web_enabled=False,  # /table and /router would serve data; ours are /metrics and /healthz
        topic_allow_declare=False,  # topics belong to the cluster's owner
        topic_disable_leader=True,
        topic_replication_factor=settings.topic_replication,
        table_standby_replicas=0,
        stream_wait_empty=False,  # a rebalance must not wait for a model call; what is in flight comes again
        stream_buffer_maxsize=settings.buffer_fetches,
        stream_processing_timeout=MAX_POLL_INTERVAL_S,
        agent_supervisor="mode.CrashingSupervisor",
        broker_commit_interval=settings.commit_interval_s,
        broker_commit_every=None,
        broker_commit_livelock_soft_timeout=MAX_POLL_INTERVAL_S,
        broker_max_poll_interval=MAX_POLL_INTERVAL_S,
        broker_max_poll_records=settings.fetch_records,
        consumer_max_fetch_size=settings.fetch_bytes,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 5,
        broker_rebalance_timeout=settings.rebalance_timeout_s,
        broker_request_timeout=max(40.0, settings.rebalance_timeout_s + 10.0),
        consumer_group_instance_id=settings.group_instance_id or None,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        producer_request_timeout=60.0,
    )


def fetch_topic(app: faust.App, name: str) -> Any:
    """A topic whose events are fetches."""
    return app.topic(name, value_serializer=_AsItIs(), key_serializer="raw", key_type=bytes)


def _credentials(settings: Settings) -> Any:
    if settings.kafka_security_protocol == "PLAINTEXT":
        return None
    context = None
    if settings.kafka_security_protocol.endswith("SSL"):
        context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_location or None)
    if settings.kafka_security_protocol == "SSL":
        return faust.SSLCredentials(context)
    return faust.SASLCredentials(
        username=settings.kafka_sasl_username,
        password=settings.kafka_sasl_password.get_secret_value(),
        mechanism=settings.kafka_sasl_mechanism,
        ssl_context=context,
    )
