"""Steps from one version of the index's tables to the next."""
