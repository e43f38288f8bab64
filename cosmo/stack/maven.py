"""Files from Maven Central by their recorded hashes: fetched once, checked at every start, used offline ever after.

``maven.lock`` lists every file with its dependencies, so nothing is resolved on a user's machine.
``python -m cosmo.stack.lock_maven`` prints a new one after a version has changed.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cosmo.stack.errors import ArtifactError
from cosmo.stack.extras import extra
from cosmo.stack.home import disk_errors

_LOCK = Path(__file__).with_name("maven.lock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One file of the lock: Maven's coordinates and the SHA-256 that its bytes must have."""

    group: str
    artifact: str
    version: str
    classifier: str
    packaging: str
    sha256: str

    @property
    def filename(self) -> str:
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{classifier}.{self.packaging}"

    def intact(self, path: Path) -> bool:
        """Whether the file is there with the recorded hash; half a download is not."""
        if not path.exists():
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


def locked(text: str) -> list[Locked]:
    """The lines of a lock file."""
    entries = []
    for line in text.splitlines():
        sha256, coordinates = line.split()
        group, artifact, version, classifier, packaging = coordinates.split(":")
        entries.append(
            Locked(
                group=group,
                artifact=artifact,
                version=version,
                classifier=classifier,
                packaging=packaging,
                sha256=sha256,
            )
        )
    return entries


LOCK = tuple(locked(_LOCK.read_text()))


def missing(entries: Iterable[Locked], directory: Path) -> list[Locked]:
    """Those that are not in the directory, or damaged there."""
    return [entry for entry in entries if not entry.intact(directory / entry.filename)]


def fetch(entries: Iterable[Locked], directory: Path) -> None:
    """Bring files into the directory, each at once and only with its recorded hash. Raises ArtifactError."""
    directory.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        with disk_errors(directory), tempfile.TemporaryDirectory(dir=directory, prefix=".incoming-") as incoming:
            _download(entry, Path(incoming)).replace(directory / entry.filename)


def _download(entry: Locked, incoming: Path) -> Path:
    """A copy of the file inside ``incoming``: from the machine's own Maven repository if it is intact there, else from
    the network. jgo writes a download straight under its final name, hence the directory of its own."""
    own = _resolve(entry, incoming, offline=True)
    source = own if own and entry.intact(own) else _resolve(entry, incoming, offline=False)
    if source is None or not entry.intact(source):
        raise ArtifactError(
            f"{entry.filename} came with other content than recorded (SHA-256).",
            advice="Try again; if it stays so, something between here and Maven Central changes downloads.",
        )
    return source if source.is_relative_to(incoming) else Path(shutil.copy(source, incoming))


def _resolve(entry: Locked, incoming: Path, *, offline: bool) -> Path | None:
    """Where jgo finds the file, or None when it is not on this machine and ``offline``."""
    maven = extra("jgo.maven")
    repositories = extra("jgo.config").GlobalSettings.load()
    own = [Path(repositories.repo_cache)] if offline and repositories.repo_cache else []
    remote = {"remote_repos": repositories.repositories} if repositories.repositories else {}
    context = maven.MavenContext(repo_cache=incoming, local_repos=own, offline=offline, **remote)
    component = context.project(entry.group, entry.artifact).at_version(entry.version)
    try:
        return Path(component.artifact(entry.classifier, entry.packaging).resolve())
    except (OSError, RuntimeError, AssertionError) as error:
        if offline:
            return None
        raise ArtifactError(
            f"{entry.filename} is not in the cache and cannot be fetched from Maven Central ({type(error).__name__}).",
            advice="Check the network or its proxy settings and run this again; what has come is kept.",
        ) from error
