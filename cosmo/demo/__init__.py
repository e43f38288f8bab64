"""The demonstration: real baskets, searches simulated over them, and one command that runs everything and shows it."""

DEFAULT_BASKETS = 20_000
DEFAULT_SEED = 7
DEFAULT_ENTITIES = 40
"""Enough to see that it works, and reached within two minutes on two cores."""
DEFAULT_LIMIT_S = 170.0
"""So long after the workers began to run, a run shows what it has, if it has anything."""
DEFAULT_PATIENCE_S = 360.0
"""So long a run waits for its first feature: a slow machine shall not end with nothing."""
