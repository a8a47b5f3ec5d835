"""The launcher: starts every part, watches over them, and ends them. It holds the front port from its first second.

It imports neither Ray nor SQLAlchemy: it lives as long as the installation runs, and should weigh little.
"""
