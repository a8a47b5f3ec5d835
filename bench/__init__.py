"""Measurements: every speed that the project claims, as a ratio taken in one run."""
