"""The `manta` command. It imports no heavy library before a command needs it."""
