"""Conversations from other programs. One file per program; the folder is the registry (`configs.plugins`).

Such a file has `create(path) -> Export`. It reads, and trusts nothing: a damaged conversation is left out with a reason
and the rest goes on. It knows no database and no account of this installation.
"""
