"""A malformed address is refused when the settings are read, in one sentence that names the variable and no secret."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_core import PydanticCustomError

from cosmo.runtime.addresses import http_url, redis_url, servers
from cosmo.runtime.settings import Settings


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("127.0.0.1:9092", "127.0.0.1:9092"),
        ("kafka-0.kafka_svc.example:9092, kafka-1:9094", "kafka-0.kafka_svc.example:9092,kafka-1:9094"),
        ("[::1]:9092", "[::1]:9092"),
    ],
)
def test_servers_are_hosts_with_ports(text: str, read: str) -> None:
    assert servers(text) == read


@pytest.mark.parametrize("text", ["foo", "", "http://foo:9092", "foo:", "foo:bar", "foo:0", "foo:70000", "a:1,,b:2"])
def test_what_names_no_host_and_port_is_no_server(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="host:port"):
        servers(text)


@pytest.mark.parametrize(
    "text", ["http://registry:8081", "https://user:p%40ss@host/apis/ccompat/v7", "http://[::1]:80", "http://host"]
)
def test_a_server_of_http_is_taken_as_it_is(text: str) -> None:
    assert http_url(text) == text


@pytest.mark.parametrize(
    "text", ["foo", "", "registry:8081", "ftp://host", "http://", "http://[::1", "http://h:port", "http://a b"]
)
def test_what_is_no_url_of_http_is_refused(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="http://host:port"):
        http_url(text)


@pytest.mark.parametrize(
    "text", ["redis://127.0.0.1:6379/0", "rediss://cosmo:s%40cret@host:6380/3", "redis://host", "redis://:p@host/"]
)
def test_a_redis_is_taken_as_it_is(text: str) -> None:
    assert redis_url(text) == text


@pytest.mark.parametrize("text", ["foo", "127.0.0.1:6379", "http://host", "redis://", "redis://h:x/0", "redis://h/a"])
def test_what_names_no_redis_is_refused(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="redis://"):
        redis_url(text)


@pytest.mark.parametrize("name", ["KAFKA_BOOTSTRAP_SERVERS", "SCHEMA_REGISTRY_URL", "REDIS_URL", "COSMO_LM_URL"])
def test_every_address_of_the_environment_is_checked_and_never_repeated(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "hidden word")
    with pytest.raises(ValidationError, match="not of the form") as refused:
        Settings()
    assert "hidden" not in str(refused.value)


def test_the_defaults_are_well_formed() -> None:
    defaults = Settings.model_construct()
    servers(defaults.kafka_bootstrap_servers)
    http_url(defaults.schema_registry_url)
    http_url(defaults.lm_url)
    assert isinstance(defaults.redis_url, SecretStr)
    redis_url(defaults.redis_url.get_secret_value())
