"""Indexes: one contract (`protocol`), its FAISS implementation (`faiss`) and the file of a whole index (`snapshot`)."""
