"""The parts of docs/producers.md that the code knows best: each is written between its two comments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cosmo.produce.outcomes import LINE_REASONS
from cosmo.produce.ubi.actions import NAMES
from schemas.errors import UNDECODABLE
from schemas.validate import REPAIRS, RULES


def parts() -> Mapping[str, str]:
    """The text of each part by its name."""
    return {
        "actions": _table("action_name", "action", ((_all(names), str(to)) for to, names in NAMES.items())),
        "line reasons": _table("reason", "meaning", ((f"`{reason}`", text) for reason, text in LINE_REASONS.items())),
        "rules": _table("reason", "rule", ((f"`{rule.reason}`", rule.text) for rule in RULES)),
        "undecodable": _table("reason", "meaning", ((f"`{reason}`", text) for reason, text in UNDECODABLE.items())),
        "repairs": _table("repair", "what it does", ((repair.name, repair.text) for repair in REPAIRS)),
    }


def renewed(page: str) -> str:
    """The page with every part as the code has it now. KeyError for a part that the page lacks."""
    for name, text in parts().items():
        begins, ends = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if page.count(begins) != 1 or page.count(ends) != 1:
            raise KeyError(name)
        before, _, rest = page.partition(begins)
        page = before + begins + text + ends + rest.partition(ends)[2]
    return page


def _all(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(left: str, right: str, rows: Iterable[tuple[str, str]]) -> str:
    return f"| {left} | {right} |\n|---|---|\n" + "".join(f"| {one} | {other} |\n" for one, other in rows)
