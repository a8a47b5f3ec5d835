"""The ground floor: settings, the YAML's shapes, the error tree, telemetry names, the embedded PostgreSQL and Valkey.

It knows no model, no HTTP and no Ray.
"""
