"""Feast itself: apply the definitions, and open the store as the Feast SDK sees it.

Importing Feast takes seconds; nothing on the write or read path imports this module.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from feast import FeatureStore, RepoConfig

from cosmo.runtime.settings import Settings
from features import METRICS_IN_FILES, project
from features.definitions import OBJECTS
from features.offline import files
from features.online.redis_store import connect
from features.views import VIEWS

if not METRICS_IN_FILES:
    # Feast's import sets it, and every child of ours would inherit it: prometheus_client would keep figures in files
    # there, and could not remove a label.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

_FOR_FEAST_APPLY = '''"""What `feast apply` finds here; written by `cosmo features apply`."""

from features.definitions import *  # noqa: F403
'''


async def apply(settings: Settings) -> Path:
    """Write the Feast repository, register the definitions in it, and mark Redis as applied. Idempotent.

    Returns the repository's directory; Feast's own commands work in it. Raises StoreUnreachable, StoreRefused.
    """
    here = project.directory(settings)
    for view in VIEWS:
        files.prepare(project.offline_directory(settings), view)
    _write_private(here / project.CONFIG_FILE, project.config_text(settings))
    (here / "definitions.py").write_text(_FOR_FEAST_APPLY, "utf-8")
    with opened(settings) as feast:
        feast.apply(list(OBJECTS))
    store = connect(settings)
    try:
        await store.mark_applied(project.fingerprint())
    finally:
        await store.close()
    return here


@contextmanager
def opened(settings: Settings) -> Iterator[Any]:
    """Feast's FeatureStore on these settings (typed Any: Feast's types cannot be checked strictly)."""
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
