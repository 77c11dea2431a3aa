"""Kappa beside Lambda: the same definitions on the same events, with and without the batch layer."""
