"""Files that people upload: how they arrive and how their bytes are kept. No route reaches it yet."""
