"""Chat backends, one file each with `create(spec)`; vLLM is imported in this folder only."""
