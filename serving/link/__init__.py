"""The link: one multiplexed byte connection between an ingress and a replica.

It exists because every other way costs more per token: a handle stream pickles, HTTP parses, and both wake a task per
chunk (docs/decisions/0003). It knows nothing of models or HTTP.
"""
