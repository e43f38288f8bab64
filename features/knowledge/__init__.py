"""The knowledge graph as its log tells it: the compacted topic ``intents``, read from start to end."""
