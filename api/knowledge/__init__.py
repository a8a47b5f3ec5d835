"""Vector stores as their people see them: what they hold, and how it is searched. No HTTP beyond the request."""
