"""`python -m api.cli`: the `manta` command where it is not on the path."""

from api.cli.main import main

main()
