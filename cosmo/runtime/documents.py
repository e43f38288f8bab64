"""Writes docs/settings.md and docs/metrics.md from the typed sources, so that neither can lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

from cosmo.runtime.metrics import METRICS, MetricDef
from cosmo.runtime.settings import Settings

_DEFAULTS = Settings.model_construct()
"""Every default, without a look at the environment."""


def settings_page() -> str:
    """docs/settings.md. A secret's default is no secret: it is that of the local stack."""
    rows = [_setting(name, field) for name, field in Settings.model_fields.items()]
    return _page(
        "Settings",
        "Read from the environment, once, when a process starts. Written by `cosmo docs settings`.",
        ("Variable", "Type", "Default", "What it is"),
        rows,
    )


def metrics_page() -> str:
    """docs/metrics.md, in the order of the list."""
    return _page(
        "Metrics",
        "What `/metrics` of each process exports, in base units, beside the usual `process_*` of CPU, memory "
        "and files. `lookup` is `cosmo lookup serve`, the others are the workers. Written by `cosmo docs metrics`.",
        ("Metric", "Kind", "Unit", "Labels", "Processes", "What it says"),
        [_metric(definition) for definition in METRICS],
    )


def variable(name: str) -> str:
    """The environment variable behind a field of Settings; a variable's own name stays as it is."""
    field = Settings.model_fields.get(name)
    if field is None:
        return name
    if isinstance(field.validation_alias, AliasChoices):
        return str(field.validation_alias.choices[0])
    return f"{Settings.model_config['env_prefix']}{name}".upper()


def _setting(name: str, field: FieldInfo) -> tuple[str, ...]:
    default = getattr(_DEFAULTS, name)
    shown = default.get_secret_value() if isinstance(default, SecretStr) else str(default)
    return (
        f"`{variable(name)}`",
        _type_name(field.annotation),
        f"`{shown}`" if shown else "",
        field.description or "",
    )


def _type_name(annotation: object) -> str:
    if isinstance(annotation, type):
        return {"str": "text", "SecretStr": "secret", "int": "integer", "float": "number"}.get(
            annotation.__name__, annotation.__name__.lower()
        )
    return str(annotation).removeprefix("typing.Literal[").removesuffix("]").replace("'", "").replace(", ", " or ")


def _metric(definition: MetricDef) -> tuple[str, ...]:
    labels = ", ".join(f"`{label}`" for label in definition.labels)
    processes = ", ".join(definition.processes)
    return f"`{definition.name}`", definition.kind, definition.unit, labels, processes, definition.doc


def _page(title: str, lead: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"# {title}", "", lead, "", _row(columns), _row(["---"] * len(columns)), *(_row(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
