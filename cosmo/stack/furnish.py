"""Furnishes a stack that runs: topics, schemas and Feast's definitions, so that the first worker finds them."""

from __future__ import annotations

import asyncio
from contextlib import closing

from cosmo.runtime.settings import Settings
from cosmo.stack.parts import Name
from cosmo.stack.stack import Phase, Progress, silent
from features import project
from features.online.redis_store import connect
from features.whole import EMPTIED
from schemas import avsc
from schemas.registry import Registry
from streams.kafka.admin import create_topics


def furnish(settings: Settings, *, progress: Progress = silent) -> None:
    """Create the topics that are missing, register every schema, apply Feast's definitions. Idempotent; a second time
    takes a fraction of a second. Parts that are somebody else's are furnished too. Raises CosmoError."""
    created = create_topics(settings)
    progress(Name.KAFKA, Phase.FURNISHED, f"{len(created)} topics created" if created else "has its topics")
    with closing(Registry(settings)) as registry:
        for topic_name in avsc.topics():
            registry.register(topic_name)
    progress(Name.REGISTRY, Phase.FURNISHED, f"has the schemas of {len(avsc.topics())} topics")
    whole = asyncio.run(_feast_is_applied(settings)) or _apply_feast(settings)
    known = f"has the Feast project {project.project_name(settings)}"
    progress(Name.VALKEY, Phase.FURNISHED, known if whole else f"{known}, and {EMPTIED}")


async def _feast_is_applied(settings: Settings) -> bool:
    """Asked without Feast, whose import takes seconds."""
    here = project.directory(settings)
    config = here / project.CONFIG_FILE
    if not (config.exists() and (here / project.REGISTRY_FILE).exists()):
        return False
    if config.read_text("utf-8") != project.config_text(settings):
        return False
    store = connect(settings)
    try:
        mark, _ = await store.read_applied([])
    finally:
        await store.close()
    return mark == project.fingerprint()


def _apply_feast(settings: Settings) -> bool:
    """Whether readers are let in."""
    from features.store import apply

    return asyncio.run(apply(settings)).whole
