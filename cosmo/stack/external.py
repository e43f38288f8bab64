"""A part that the environment replaces by one's own: never started or stopped here, only asked whether it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import urlsplit, urlunsplit

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.settings import Settings
from cosmo.stack import probes
from cosmo.stack.child import Child
from cosmo.stack.parts import Name, Say
from streams.kafka.clients import client_config


class ExternalPart:
    """Somebody else's server at ``address``, asked by ``answers``."""

    def __init__(self, *, name: Name, label: str, address: str, variable: str, answers: Callable[[], bool]) -> None:
        self.name = name
        self.label = label
        self.variable = variable
        self._address = address
        self._answers = answers

    @property
    def address(self) -> str:
        return without_credentials(self._address)

    @property
    def children(self) -> Sequence[Child]:
        return ()

    def check_startable(self) -> None:
        """Nothing: it is not started here."""

    def prepare(self, say: Say) -> None:
        """Nothing: it is there or it is not."""

    def start(self) -> None:
        """Nothing: it is somebody else's."""

    def revive(self, child: Child) -> None:
        """Nothing: it has no process here."""

    def ready(self) -> bool:
        return self._answers()

    def serves(self) -> bool:
        return self._answers()

    def stop(self, deadline: Deadline) -> None:
        """Nothing: it is somebody else's."""


def replaced(settings: Settings) -> dict[Name, ExternalPart]:
    """The parts whose variable is set in the environment."""
    given = settings.model_fields_set
    return {part.name: part for field, part in _externals(settings).items() if field in given}


def without_credentials(url: str) -> str:
    """The address as it may be shown: user and password replaced by ``…``."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=f"…@{parts.netloc.rpartition('@')[2]}"))


def _externals(settings: Settings) -> dict[str, ExternalPart]:
    """Every part as somebody else's, by the settings field that names its address."""
    redis_url = settings.redis_url.get_secret_value()
    return {
        "kafka_bootstrap_servers": ExternalPart(
            name=Name.KAFKA,
            label="Kafka",
            address=settings.kafka_bootstrap_servers,
            variable="KAFKA_BOOTSTRAP_SERVERS",
            answers=lambda: probes.kafka_brokers(client_config(settings)) > 0,
        ),
        "schema_registry_url": ExternalPart(
            name=Name.REGISTRY,
            label="The schema registry",
            address=settings.schema_registry_url,
            variable="SCHEMA_REGISTRY_URL",
            answers=partial(_registry_answers, settings),
        ),
        "redis_url": ExternalPart(
            name=Name.VALKEY,
            label="Redis",
            address=redis_url,
            variable="REDIS_URL",
            answers=partial(probes.redis_ok, redis_url),
        ),
        "lm_url": ExternalPart(
            name=Name.MODEL,
            label="The model server",
            address=settings.lm_url,
            variable="COSMO_LM_URL",
            answers=partial(_model_answers, settings),
        ),
    }


def _registry_answers(settings: Settings) -> bool:
    user, _, password = settings.schema_registry_user_info.get_secret_value().partition(":")
    return probes.http_ok(
        f"{settings.schema_registry_url.rstrip('/')}/subjects",
        auth=(user, password) if user else None,
        ca_file=settings.schema_registry_ca_location,
        own=False,
    )


def _model_answers(settings: Settings) -> bool:
    url = f"{settings.lm_url.rstrip('/')}/v1/models"
    return probes.http_ok(url, token=settings.lm_api_key.get_secret_value(), own=False)
