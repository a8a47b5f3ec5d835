"""How good retrieval is: real text, questions about it, and measures. It knows no index and no model."""
