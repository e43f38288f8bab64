"""Feast itself: apply the definitions, and open the store as the Feast SDK sees it.

Importing Feast takes seconds; nothing on the write or read path imports this module.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feast import FeatureStore, RepoConfig

from cosmo.runtime.settings import Settings
from features import METRICS_IN_FILES, project
from features.definitions import OBJECTS
from features.errors import NoRepository
from features.offline import files
from features.online.redis_store import connect
from features.views import VIEWS
from features.whole import marked

if not METRICS_IN_FILES:
    # Feast's import sets it, and every child of ours would inherit it: prometheus_client would keep figures in files
    # there, and could not remove a label.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

_FOR_FEAST_APPLY = '''"""What `feast apply` finds here; written by `cosmo features apply`."""

from features.definitions import *  # noqa: F403
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedRepository:
    """What applying has come to."""

    directory: Path
    """Feast's own commands work in it."""
    whole: bool
    """Readers are let in. If not, Redis was emptied, and only a rebuild knows when it holds everything again."""


async def apply(settings: Settings) -> AppliedRepository:
    """Write the Feast repository, register the definitions in it, and mark Redis if it is whole. Idempotent.

    Raises StoreUnreachable, StoreRefused and, if Redis has no mark yet, LagUnknown.
    """
    here = project.directory(settings)
    for view in VIEWS:
        files.prepare(project.offline_directory(settings), view)
    _write_private(here / project.CONFIG_FILE, project.config_text(settings))
    (here / "definitions.py").write_text(_FOR_FEAST_APPLY, "utf-8")
    with _opened(settings) as feast:
        feast.apply(list(OBJECTS))
    store = connect(settings)
    try:
        return AppliedRepository(directory=here, whole=await marked(store, settings))
    finally:
        await store.close()


@contextmanager
def opened(settings: Settings) -> Iterator[Any]:
    """Feast's FeatureStore on these settings (typed Any: Feast's types cannot be checked strictly). Raises NoRepository
    where nothing was applied, which Feast would only tell by its way of failing."""
    if not (project.directory(settings) / project.REGISTRY_FILE).exists():
        raise NoRepository(project.directory(settings))
    with _opened(settings) as store:
        yield store


@contextmanager
def _opened(settings: Settings) -> Iterator[Any]:
    # Of dask's, about its own use of pandas; every historical read would show it to somebody who can do nothing.
    warnings.filterwarnings("ignore", "Downcasting object dtype", FutureWarning)
    store = FeatureStore(config=RepoConfig(**project.repo_config(settings), repo_path=project.directory(settings)))
    try:
        yield store
    finally:
        client = getattr(store._get_provider().online_store, "_client", None)
        if client is not None:  # Feast leaves it open
            client.close()


def _write_private(path: Path, text: str) -> None:
    """For its owner only: the file may hold a password."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)
