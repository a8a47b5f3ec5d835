"""What the Makefile runs: install, lock, test, audit. Nothing here is imported by the product."""
