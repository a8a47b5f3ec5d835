"""Texts to vectors. Each file with a `create` is a backend; `protocol` is what they share.

A model does not know that it is served.
"""
