"""The audit log: acts that matter for security, chained so that no edit, removal or cut stays unseen.

It names people by their ids only, and addresses by their network: what is in it can stay after an erasure.
"""
