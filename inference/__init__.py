"""Everything about COSMO-LM: what is asked, how the model server is asked, and what of its answers is kept."""
