"""Routes: each checks its request, asks a service, and shapes the answer."""
