"""The feature store: what readers look up, how it is written, and the API that serves it.

``cosmo features apply`` writes the Feast repository; ``definitions.py`` says what is in it.
"""
