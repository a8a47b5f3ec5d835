"""The second factor: codes of an app, recovery codes, passkeys. Rows and sealed secrets lie in `api.db.two_factor`."""
