"""The second factor: codes of an app, recovery codes, passkeys. It holds no state: `api.db.two_factor` keeps it."""
