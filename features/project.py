"""The Feast project: its name, its directory, and what Feast is told about the stores."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from features.views import SERVICES, VIEWS

CONFIG_FILE = "feature_store.yaml"
REGISTRY_FILE = "registry.db"
_DIGEST_CHARS = 8
"""32 bits: two of a thousand prefixes in one Redis meet once in ten thousand times."""


def project_name(settings: Settings) -> str:
    """``cosmo``, or ``cosmo_`` and the topic prefix as a name that Feast allows (letters, digits, underscores).

    Different prefixes have different names: one that had to be changed brings a digest of what it was, so that ``a.``,
    ``a-`` and ``a_`` do not write into each other's rows. A name with a digest has an underscore more than any without.
    """
    prefix = settings.topic_prefix
    if not prefix or re.fullmatch(r"[A-Za-z0-9]+", prefix):
        return f"cosmo_{prefix}" if prefix else "cosmo"
    readable = re.sub(r"\W+", "_", prefix, flags=re.ASCII).strip("_")
    return f"cosmo_{readable}_{hashlib.sha256(prefix.encode()).hexdigest()[:_DIGEST_CHARS]}"


def directory(settings: Settings) -> Path:
    """The applied Feast repository: ``feature_store.yaml``, registry and offline store. Absolute."""
    return settings.home.absolute() / "feast" / project_name(settings)


def offline_directory(settings: Settings) -> Path:
    """Parquet files of the offline store, one directory for each view."""
    return directory(settings) / "offline"


def fingerprint() -> str:
    """Changes when a view, a feature or a service does; a reader refuses a store applied with another."""
    shape = [[view.name, view.join_key, [[f.name, f.kind.value] for f in view.features]] for view in VIEWS]
    services = {name: [[view.name, list(names)] for view, names in parts] for name, parts in SERVICES.items()}
    return hashlib.sha256(json.dumps([shape, services], sort_keys=True).encode()).hexdigest()[:16]


def repo_config(settings: Settings) -> dict[str, Any]:
    """The content of ``feature_store.yaml``. It holds the password, if Redis has one."""
    here = directory(settings)
    return {
        "project": project_name(settings),
        "provider": "local",
        "registry": {"path": str(here / REGISTRY_FILE), "cache_ttl_seconds": 60},
        "online_store": {
            "type": "redis",
            "redis_type": "redis_cluster" if settings.redis_cluster else "redis",
            "connection_string": connection_string(settings.redis_url.get_secret_value()),
        },
        "offline_store": {"type": "file"},
        "entity_key_serialization_version": 3,
    }


def config_text(settings: Settings) -> str:
    """``feature_store.yaml`` as `features.store.apply` writes it."""
    import yaml  # only applying needs it, and look-ups import this module

    return yaml.safe_dump(repo_config(settings), sort_keys=False)


def connection_string(redis_url: str) -> str:
    """``redis://user:password@host:port/db`` in Feast's form, ``host:port,db=0,password=…,ssl=true``."""
    url = urlsplit(redis_url)
    if url.scheme not in {"redis", "rediss"} or not url.hostname:
        raise CosmoError("REDIS_URL is not of the form redis://[user:password@]host:port/db.", advice="Correct it.")
    parameters = {
        "db": url.path.strip("/") or "0",
        "username": unquote(url.username or ""),
        "password": json.dumps(unquote(url.password)) if url.password else "",
        "ssl": "true" if url.scheme == "rediss" else "",
    }
    if "," in parameters["password"] or "," in parameters["username"]:
        raise CosmoError("Feast cannot use a Redis password or user that holds a comma.", advice="Choose another.")
    given = [f"{name}={value}" for name, value in parameters.items() if value]
    return ",".join([f"{url.hostname}:{url.port or 6379}", *given])
