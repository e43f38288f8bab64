"""One question to a server, answered within a second: does it work?"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Mapping

import httpx
import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

_PROBE_S = 1.0
_QUIET = logging.getLogger("cosmo.stack.probe")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False


def listens(host: str, port: int) -> bool:
    """Whether a TCP connection is accepted; cheap enough to ask many times a second."""
    try:
        with socket.create_connection((host, port), timeout=_PROBE_S):
            return True
    except OSError:
        return False


def kafka_brokers(config: Mapping[str, str | int | float | bool], *, timeout_s: float = _PROBE_S) -> int:
    """How many brokers the cluster says it has; 0 when nobody answers. ``config`` is librdkafka's."""
    client = AdminClient({**config, "log_level": 0}, logger=_QUIET)
    try:
        return len(client.list_topics(timeout=timeout_s).brokers)
    except KafkaException:
        return 0


def http_ok(
    url: str, *, auth: tuple[str, str] | None = None, token: str = "", ca_file: str = "", own: bool = True
) -> bool:
    """Whether GET answers with a 2xx. ``own``: on the loopback address, where no proxy of the environment helps."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    verify = ssl.create_default_context(cafile=ca_file) if ca_file else True
    try:
        answer = httpx.get(url, timeout=_PROBE_S, auth=auth, headers=headers, verify=verify, trust_env=not own)
    except httpx.HTTPError:
        return False
    return answer.is_success


def redis_ok(url: str) -> bool:
    """Whether PING is answered, which it is not while Valkey still loads its data."""
    try:
        with redis.Redis.from_url(url, socket_timeout=_PROBE_S, socket_connect_timeout=_PROBE_S) as client:
            return bool(client.ping())
    except (redis.RedisError, ValueError):  # ValueError: the address is not one of Redis
        return False
