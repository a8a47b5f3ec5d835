"""What writes the files of this repository that are made from others; every one of them also checks with `--check`."""
