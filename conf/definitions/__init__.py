"""Applications: sources and views."""
