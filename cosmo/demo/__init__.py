"""The demonstration: real baskets, searches simulated over them, and one command that runs everything and shows it."""

DEFAULT_BASKETS = 20_000
DEFAULT_SEED = 7
DEFAULT_ENTITIES = 40
"""Enough to see that it works, and reached within two minutes on two cores."""
DEFAULT_LIMIT_S = 170.0
"""A run that nobody watches shows results by then, whatever the model has managed."""
