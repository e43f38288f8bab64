"""The settings for TLS and passwords reach every kind of client: librdkafka, aiokafka, the registry's, Redis'."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from pydantic import SecretStr
from redis.asyncio import SSLConnection

from cosmo.runtime.settings import Settings
from cosmo.stack.external import without_credentials
from cosmo.stack.extras import java
from features.online.redis_store import connect
from features.project import connection_string
from schemas.registry_http import RegistryHttp
from streams.app import build_app
from streams.kafka.clients import client_config


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A certificate that signs itself."""
    directory = tmp_path_factory.mktemp("ca")
    keytool = Path(java()).with_name("keytool")
    store = ("-keystore", str(directory / "keys"), "-storepass", "not-a-secret", "-alias", "ca")
    name = ("-dname", "CN=ca", "-ext", "bc:critical=ca:true")
    subprocess.run([keytool, "-genkeypair", "-keyalg", "RSA", *name, *store], check=True)
    subprocess.run([keytool, "-exportcert", "-rfc", "-file", str(directory / "ca.pem"), *store], check=True)
    return str(directory / "ca.pem")


def _kafka(protocol: str, ca_file: str = "") -> Settings:
    return Settings(
        kafka_security_protocol=protocol,
        kafka_sasl_username="cosmo",
        kafka_sasl_password=SecretStr("secret"),
        kafka_ssl_ca_location=ca_file,
    )


SASL = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "cosmo", "sasl.password": "secret"}


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
def test_librdkafka_is_told(protocol: str, ca_file: str) -> None:
    encrypted = protocol.endswith("SSL")
    config = client_config(_kafka(protocol, ca_file if encrypted else ""))
    assert config["security.protocol"] == protocol
    assert {name: config[name] for name in config if name.startswith("sasl")} == (SASL if "SASL" in protocol else {})
    assert config.get("ssl.ca.location") == (ca_file if encrypted else None)


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
def test_aiokafka_under_faust_is_told_the_same(protocol: str, ca_file: str) -> None:
    settings = _kafka(protocol, ca_file)
    told = credentials_to_aiokafka_auth(build_app(settings, "ingest").conf.broker_credentials)
    assert told["security_protocol"] == protocol
    if "SASL" in protocol:
        assert told["sasl_mechanism"] == "SCRAM-SHA-512"
        assert (told["sasl_plain_username"], told["sasl_plain_password"]) == ("cosmo", "secret")
    if protocol.endswith("SSL"):
        context = told["ssl_context"]
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.cert_store_stats()["x509_ca"] == 1


def test_the_registry_client_is_told(ca_file: str) -> None:
    settings = Settings(
        schema_registry_url="https://registry.example",
        schema_registry_user_info=SecretStr("cosmo:secret"),
        schema_registry_ca_location=ca_file,
    )
    http = RegistryHttp(settings)
    request = http._client.build_request("GET", "subjects")
    flow = http._client._build_request_auth(request).sync_auth_flow(request)
    assert next(flow).headers["Authorization"] == "Basic Y29zbW86c2VjcmV0"
    assert "secret" not in http.address
    http.close()


def test_redis_clients_are_told() -> None:
    settings = Settings(redis_url=SecretStr("rediss://cosmo:s%40cret@redis.example:6380/3"))
    pool = connect(settings)._client.connection_pool
    told = pool.connection_kwargs
    assert (told["host"], told["port"], told["db"]) == ("redis.example", 6380, 3)
    assert (told["username"], told["password"]) == ("cosmo", "s@cret")
    assert issubclass(pool.connection_class, SSLConnection)


def test_feasts_own_redis_client_is_told() -> None:
    told = connection_string("rediss://cosmo:s%40cret@redis.example:6380/3")
    assert told == 'redis.example:6380,db=3,username=cosmo,password="s@cret",ssl=true'


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://:secret@host:6379/0", "redis://…@host:6379/0"),
        ("https://user:p@ss@host/apis", "https://…@host/apis"),
        ("http://host:8081", "http://host:8081"),
    ],
)
def test_credentials_are_not_shown(address: str, shown: str) -> None:
    assert without_credentials(address) == shown
