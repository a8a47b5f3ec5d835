"""Grammars and regexes, tried in a process that may die before an engine sees them."""
