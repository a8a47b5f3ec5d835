"""How `reranker`, the cross-encoder that comes with Manta, is made: what is learnt on top of all-MiniLM-L6-v2.

The text is that of docstrings of installed packages; `passages` finds it, `questions` makes questions of it, `dataset`
sets hard wrong answers beside the right ones, `training` learns to tell them apart.
"""
