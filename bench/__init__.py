"""Speeds, as ratios measured in one run, interleaved, in CPU seconds. Nothing here is a test."""
