"""Encryption of what is stored: sealed values, and the keys of their owners."""
