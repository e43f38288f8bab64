"""The materialize process: intents of entities in, features out."""
