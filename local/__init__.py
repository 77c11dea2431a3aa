"""Runs the platform on one machine. Talks to the layers as processes only."""
