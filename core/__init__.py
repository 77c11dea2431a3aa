"""The vocabulary that the three layers share. Imports no engine."""
