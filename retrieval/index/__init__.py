"""Vectors in, ids and scores out. FAISS behind one door, kept on disk so that what was acknowledged is not lost."""
