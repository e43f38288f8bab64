"""Dead letters: what could not be used, why, and how it is sent again once its cause is mended."""
