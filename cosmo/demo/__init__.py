"""The demonstration: real baskets, searches simulated over them, and one command that runs everything and shows it."""

DEFAULT_BASKETS = 20_000
DEFAULT_SEED = 7
