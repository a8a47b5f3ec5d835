"""The tests, laid out as the packages are: `tests/<package>/test_<module>.py`."""
