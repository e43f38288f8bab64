"""Which UBI action is which of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from cosmo.runtime.errors import CosmoError
from schemas.records import Action

Meaning: TypeAlias = Action | Literal["skip", "query"]
"""An action of ours; or that the event is left out; or that it is a query in the form of an event."""

NAMES: Mapping[Meaning, tuple[str, ...]] = {
    Action.IMPRESSION: (
        "impression",
        "view",
        "item_impression",
        "product_impression",
        "result_impression",
        "search_impression",
        "view_item_list",
        "view_search_results",
        "product_list_viewed",
    ),
    Action.CLICK: (
        "click",
        "on_click",
        "item_click",
        "product_click",
        "product_clicked",
        "result_click",
        "search_click",
        "search_result_click",
        "click_through",
        "clickthrough",
        "select_item",
        "view_item",
        "product_viewed",
    ),
    Action.ADD_TO_CART: (
        "add_to_cart",
        "add_to_basket",
        "add_to_bag",
        "added_to_cart",
        "addtocart",
        "cart_add",
        "basket_add",
        "product_added",
    ),
    Action.PURCHASE: (
        "purchase",
        "purchased",
        "buy",
        "item_purchase",
        "product_purchase",
        "product_purchased",
        "order_completed",
    ),
    "query": ("on_search", "search", "query"),
}
"""UBI's own names first, then those of its demos, of GA4 and of Segment, as `canonical` writes them.

``view`` is an impression, the weaker reading: UBI's own generator writes it for each result that was shown.
``view_item`` and ``product_viewed`` are detail pages, which a shopper reaches after a search by a click.
"""

_BREAK = re.compile(r"[\s.\-:/]+|(?<=[a-z0-9])(?=[A-Z])")


def canonical(name: str) -> str:
    """``addToCart``, ``Add To Cart`` and ``add-to-cart`` are all ``add_to_cart``."""
    return _BREAK.sub("_", name.strip()).lower()


_KNOWN: Mapping[str, Meaning] = {name: meaning for meaning, names in NAMES.items() for name in names}


@dataclass(frozen=True, slots=True)
class Actions:
    """The names known, and ``own`` before them: those that a shop has added, by their canonical name."""

    own: Mapping[str, Meaning] = field(default_factory=dict)

    def of(self, name: str) -> Meaning | None:
        """What the name means; None for a name that is not known."""
        written = canonical(name)
        return self.own.get(written) or _KNOWN.get(written)

    @classmethod
    def parse(cls, pairs: list[str]) -> Actions:
        """From ``NAME=ACTION`` pairs; ACTION is one of ours in any case, or ``skip``. Raises CosmoError."""
        return cls(dict(map(_pair, pairs)))


def _pair(text: str) -> tuple[str, Meaning]:
    name, _, word = text.partition("=")
    allowed = {action.value.lower(): action for action in Action if action is not Action.UNKNOWN}
    meaning: Meaning | None = "skip" if word == "skip" else allowed.get(canonical(word))
    if not name.strip() or meaning is None:
        raise CosmoError(
            f"{text!r} does not say what an action means.",
            advice=f"Write NAME=ACTION, such as hover=skip; ACTION is {', '.join(allowed)} or skip.",
        )
    return canonical(name), meaning
