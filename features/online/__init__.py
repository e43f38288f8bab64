"""The online store: Redis, byte for byte as Feast keeps it, written with compare-and-set."""
