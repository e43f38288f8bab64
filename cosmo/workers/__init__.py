"""Puts worker processes together: logic from the packages, clients, health, and the four of them as children."""
