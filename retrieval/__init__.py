"""Vectors in, ids and scores out: FAISS indexes and their snapshots; later documents, chunking and fusion.

It does not know who embeds (it takes vectors), and knows no HTTP, SQL or Ray.
"""
