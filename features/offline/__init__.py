"""The offline store: every version of every row, for point-in-time training sets."""
