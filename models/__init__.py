"""What a model is: chat engines, embedders, rerankers, and the bundled `starter` model.

It does not know that it is served, and knows no SQL (tables are never called models).
"""
