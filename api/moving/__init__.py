"""Moving in: what another program's file holds becomes people and conversations of an organization.

It takes records (`api.imports`) and writes rows, each conversation in one transaction, sealed like any other. A second
run adds only what is new. It knows no file format.
"""
