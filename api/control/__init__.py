"""`control`: one deployment that makes the cluster what the database says. It serves no user traffic."""
