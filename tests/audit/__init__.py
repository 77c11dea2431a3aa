"""A client that asks without a pause while processes die, and judges every answer it gets."""
