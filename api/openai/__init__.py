"""OpenAI's request shapes, field by field: an allow-list with ranges. What is not here does not reach a model."""
