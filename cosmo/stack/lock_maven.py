"""Prints a new ``maven.lock``: ``python -m cosmo.stack.lock_maven > cosmo/stack/maven.lock.new``. For maintainers."""

from __future__ import annotations

import hashlib
from typing import Any

from cosmo.stack.extras import extra
from cosmo.stack.kafka import KAFKA_VERSION
from cosmo.stack.registry import REGISTRY_VERSION

_KAFKA = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"


def _line(artifact: Any) -> str:
    sha256 = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
    name = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
    return f"{sha256} {name}:{artifact.classifier or ''}:{artifact.packaging}"


def main() -> None:
    registry = extra("jgo.maven").MavenContext().project("io.apicurio", "apicurio-registry-app")
    archive = registry.at_version(REGISTRY_VERSION).artifact("all", "tar.gz")
    for line in sorted(map(_line, [*extra("jgo").resolve(_KAFKA), archive]), key=lambda line: line.split()[1]):
        print(line)


if __name__ == "__main__":
    main()
