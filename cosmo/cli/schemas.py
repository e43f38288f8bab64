"""``cosmo schemas``: are the contracts compatible with their own past, and does the registry have them?"""

from __future__ import annotations

from contextlib import closing
from typing import Any

import typer

from cosmo.cli.output import AsJson, print_json, print_table
from cosmo.runtime.settings import settings
from schemas import avsc
from schemas.compatibility import Obstacle, check, level
from schemas.errors import Incompatible
from schemas.registry import Registry

app = typer.Typer(help="Check and register the Avro schemas.", no_args_is_help=True)


@app.command("check")
def check_command(as_json: AsJson = False) -> None:
    """Check every version of every schema against every later one, without any server.

    Exits 1, naming the first obstacle, when a topic breaks its level. Run it before you commit a new version:

        cp schemas/avsc/intents/v1.avsc schemas/avsc/intents/v2.avsc    # edit v2, then
        cosmo schemas check
    """
    rows = {topic_name: _obstacles(topic_name) for topic_name in avsc.topics()}
    print_json([_checked(*row) for row in rows.items()]) if as_json else _print_checked(rows)
    for found in (obstacle for obstacles in rows.values() for obstacle in obstacles):
        raise Incompatible(str(found), advice=f"{found.topic} must stay {level(found.topic)}.")


@app.command("register")
def register_command(as_json: AsJson = False) -> None:
    """Register every version of every schema, and set each subject's compatibility level. May be run again.

    Workers never register by themselves, so run it once for each registry and COSMO_TOPIC_PREFIX, and after upgrades:

        SCHEMA_REGISTRY_URL=https://registry.example:8081 cosmo schemas register
    """
    with closing(Registry(settings())) as registry:
        rows = [
            {
                "subject": registry.subject(topic_name),
                "level": level(topic_name).value,
                "ids": list(registry.register(topic_name)),
            }
            for topic_name in avsc.topics()
        ]
    print_json(rows) if as_json else _print_registered(rows)


def _obstacles(topic_name: str) -> list[Obstacle]:
    versions = {version: avsc.load(topic_name, version) for version in avsc.versions(topic_name)}
    return list(check(topic_name, versions, level(topic_name)))


def _checked(topic_name: str, found: list[Obstacle]) -> dict[str, Any]:
    return {
        "topic": topic_name,
        "versions": list(avsc.versions(topic_name)),
        "level": level(topic_name).value,
        "obstacles": [str(obstacle) for obstacle in found],
    }


def _print_checked(rows: dict[str, list[Obstacle]]) -> None:
    print_table(
        ("topic", "versions", "level", "verdict"),
        [
            (
                topic_name,
                ", ".join(map(str, avsc.versions(topic_name))),
                level(topic_name).value,
                "incompatible" if found else "compatible",
            )
            for topic_name, found in rows.items()
        ],
    )


def _print_registered(rows: list[dict[str, Any]]) -> None:
    print_table(
        ("subject", "level", "schema ids"),
        [(row["subject"], row["level"], ", ".join(map(str, row["ids"]))) for row in rows],
    )
