"""User Behavior Insights 1.3: logs of queries and of what became of them, read as our events."""
