"""Files that people upload: how they arrive, how their bytes are kept, and whose they are."""
