"""A query and documents to scores. Each file with a `create` is a backend; `protocol` is what they share."""
