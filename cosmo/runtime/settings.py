"""The environment, read in one place.

The four parts that can be replaced by one's own keep the names that their users know
(``KAFKA_BOOTSTRAP_SERVERS``, ``SCHEMA_REGISTRY_URL``, ``REDIS_URL``, ``COSMO_LM_URL``);
every other setting begins with ``COSMO_``. ``docs/settings.md`` is generated from these classes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from cosmo.runtime.addresses import HttpUrl, KafkaServers, RedisUrl


def _named(name: str) -> AliasChoices:
    return AliasChoices(name)


def _at(address: str) -> Callable[[dict[str, Any]], str]:
    """A default that follows the settings before it."""
    return lambda fields: address.format(**fields)


class Settings(BaseSettings):
    """Every setting of every process, with its unit in its name and its reason in its description."""

    model_config = SettingsConfigDict(
        env_prefix="COSMO_",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,  # it may be a secret
        env_ignore_empty=True,  # compose files and charts hand on what is not set as an empty text
    )

    # the local stack's ports, on the loopback address; the addresses below follow them
    kafka_port: int = Field(
        9092, gt=0, lt=65_530, description="First broker; its controller is one above, the next broker two above."
    )
    registry_port: int = Field(8081, gt=0, lt=65_536, description="Schema registry of the local stack.")
    redis_port: int = Field(6379, gt=0, lt=65_536, description="Valkey of the local stack.")
    lm_port: int = Field(8089, gt=0, lt=65_536, description="Model server of the local stack.")

    kafka_bootstrap_servers: KafkaServers = Field(
        default_factory=_at("127.0.0.1:{kafka_port}"),
        validation_alias=_named("KAFKA_BOOTSTRAP_SERVERS"),
        description="Kafka brokers, host:port,…",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", validation_alias=_named("KAFKA_SECURITY_PROTOCOL"), description="How to talk to the brokers."
    )
    kafka_sasl_mechanism: str = Field(
        "SCRAM-SHA-512", validation_alias=_named("KAFKA_SASL_MECHANISM"), description="Used with SASL_* protocols."
    )
    kafka_sasl_username: str = Field("", validation_alias=_named("KAFKA_SASL_USERNAME"), description="SASL user.")
    kafka_sasl_password: SecretStr = Field(
        SecretStr(""), validation_alias=_named("KAFKA_SASL_PASSWORD"), description="SASL password."
    )
    kafka_ssl_ca_location: str = Field(
        "", validation_alias=_named("KAFKA_SSL_CA_LOCATION"), description="CA file (PEM) that signs the brokers."
    )
    schema_registry_url: HttpUrl = Field(
        default_factory=_at("http://127.0.0.1:{registry_port}/apis/ccompat/v7"),
        validation_alias=_named("SCHEMA_REGISTRY_URL"),
        description="Confluent-compatible schema registry (Apicurio: with /apis/ccompat/v7).",
    )
    schema_registry_user_info: SecretStr = Field(
        SecretStr(""), validation_alias=_named("SCHEMA_REGISTRY_USER_INFO"), description="user:password, if it asks."
    )
    schema_registry_ca_location: str = Field(
        "", validation_alias=_named("SCHEMA_REGISTRY_CA_LOCATION"), description="CA file (PEM) for an https registry."
    )
    redis_url: RedisUrl = Field(
        default_factory=lambda fields: SecretStr(_at("redis://127.0.0.1:{redis_port}/0")(fields)),
        validation_alias=_named("REDIS_URL"),
        description="Redis or Valkey behind Feast: redis://[:password@]host:port/db, rediss:// for TLS.",
    )
    lm_url: HttpUrl = Field(
        default_factory=_at("http://127.0.0.1:{lm_port}"),
        validation_alias=_named("COSMO_LM_URL"),
        description="OpenAI-compatible server root.",
    )
    lm_api_key: SecretStr = Field(SecretStr(""), description="Bearer token for the model server, if it asks.")
    lm_model: str = Field("", description="Model name to ask for; empty: the first that /v1/models lists.")

    topic_prefix: str = Field("", description="Put before every topic and group; the Feast project is named after it.")
    home: Path = Field(
        Path(".cosmo"),
        description="Where the local stack keeps data, logs and pid files, and Feast its repository; a relative path "
        "is one of the current directory, so name it in full to work from another.",
    )
    min_free_bytes: int = Field(
        2_000_000_000, ge=0, description="The local stack refuses to start with less free disk space at COSMO_HOME."
    )
    external_wait_s: float = Field(
        10.0, gt=0, description="How long `cosmo stack up` waits for a server of your own to answer."
    )
    log_format: Literal["json", "console"] = Field("console", description="json for machines, console for people.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    shutdown_s: float = Field(20.0, gt=0, description="One deadline for a graceful stop; below Kubernetes' 30 s.")

    # consuming
    fetch_records: int = Field(20_000, ge=1, description="Most records of one fetch; more is faster and coarser.")
    fetch_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="Most bytes of one partition's fetch.")
    buffer_fetches: int = Field(2, ge=1, description="Fetches held before the handler; more is memory, not speed.")
    commit_interval_s: float = Field(1.0, gt=0, description="How often acked offsets are committed.")
    session_timeout_s: float = Field(10.0, gt=0, description="After this without heartbeat a worker's partitions move.")
    rebalance_timeout_s: float = Field(30.0, gt=0, description="How long a rebalance waits for a member to rejoin.")
    group_instance_id: str = Field(
        "", description="Static membership: the worker's own name, as of its pod. Empty: dynamic."
    )
    dead_letter_ratio: float = Field(0.5, gt=0, le=1, description="Above this share of recent records a worker stops.")
    listen_host: str = Field("127.0.0.1", description="Address that /metrics, /healthz and the lookup API listen on.")
    worker_port: int = Field(
        0,
        ge=0,
        lt=65_533,
        description="/metrics and /healthz of one worker; 0: ingest 9101, sample 9102, infer 9103, materialize 9104. "
        "Workers that are started one by one need one each; `cosmo worker all` and `cosmo demo` take four from it on.",
    )

    # counting
    session_key: SecretStr = Field(
        SecretStr(""),
        description="Hashed with session ids, so that none can be chosen to count for many; one for all of ingest.",
    )

    # sampling
    sample_query_sessions: int = Field(
        3, ge=1, description="k of k-anonymity: a query that fewer sessions have used goes to no model and no feature."
    )
    sample_flush_s: float = Field(
        0.5,
        ge=0,
        description="The sampler's state is gathered this long into one segment; its fetches are acked after it.",
    )
    sample_window_least: int = Field(
        64,
        ge=1,
        description="Least records of behavior-pairs that may wait for the model; more is steadier, and older.",
    )
    sample_window_most: int = Field(
        16_384, ge=1, description="Most of them, for a model that takes thousands a second."
    )

    # inference
    lm_batch_prompts: int = Field(16, ge=1, description="Most prompts of one request; on a GPU 64 or more.")
    lm_batch_wait_s: float = Field(
        0.05, ge=0, description="A batch is sent this long after its first prompt, full or not."
    )
    lm_in_flight: int = Field(2, ge=1, description="Requests at the model server at a time; on a GPU 4 or more.")
    lm_timeout_s: float = Field(120.0, gt=0, description="Deadline of one request; a batch beyond it is halved.")
    lm_candidates: int = Field(1, ge=1, description="Answers to each prompt; more than 1 needs a temperature above 0.")
    lm_max_tokens: int = Field(16, ge=1, description="Longest answer; what is cut there is rejected as incomplete.")
    lm_temperature: float = Field(0.0, ge=0, description="0: the likeliest answer. Above: drawn by a fixed seed.")
    infer_relations: int = Field(3, ge=1, description="Relations asked of a pair; each is one prompt.")
    infer_fetch_records: int = Field(
        8, ge=1, description="Most pairs of one fetch. A fetch is acked when all of its pairs have ended."
    )

    # features
    redis_cluster: bool = Field(False, description="REDIS_URL names one node of a Redis Cluster.")
    features_top_k: int = Field(8, ge=1, description="Intents kept for each query and product; the best by rank.")
    features_half_life_s: float = Field(
        7 * 86_400.0, gt=0, description="After this an intent's support counts half. Rebuild after a change."
    )
    features_stale_after_s: float = Field(7 * 86_400.0, gt=0, description="Older features are served as stale.")
    features_offline_flush_s: float = Field(
        5.0, ge=0, description="Offline rows are gathered this long into one file; their records are acked after it."
    )
    lookup_port: int = Field(8090, gt=0, le=65_535, description="Where `cosmo lookup serve` listens.")
    lookup_batch: int = Field(500, ge=1, description="Most keys of one POST /v1/lookup.")

    topic_partitions: int = Field(4, ge=1, description="Partitions of topics that `cosmo stack up` creates.")
    topic_replication: int = Field(1, ge=1, description="Replication factor of topics that `cosmo stack up` creates.")


@cache
def settings() -> Settings:
    """The process's settings; read once, so that a process cannot see two environments."""
    return Settings()
