"""Real Wikipedia edits through all three layers, checked against the truth."""
