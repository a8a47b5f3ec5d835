"""People and how they prove who they are. It knows no route and no table."""
