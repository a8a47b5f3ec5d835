"""Ray Serve: deployments, scaling, leases, and the link that carries bytes from a replica to the client.

It knows no user, no HTTP route and no SQL.
"""
