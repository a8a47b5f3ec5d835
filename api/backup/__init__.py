"""Backups of an installation: database, files and secrets, sealed under the master key, in a folder or a bucket.

It knows no SQL (`api.db.survey`, `api.db.replication`, `api.db.copying`), no route and no command line.
"""
