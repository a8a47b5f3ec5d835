"""Alembic migrations, run by `manta db upgrade` and by the launcher for the embedded database, never by a replica."""
