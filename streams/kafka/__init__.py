"""Kafka at the edge: client configuration, confirmed sends, topics, dead letters, lag."""
