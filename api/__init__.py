"""The edge: FastAPI ingress, identity, tables and migrations, `control`, the launcher and the `manta` command.

It never imports vllm, faiss or torch.
"""
