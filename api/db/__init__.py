"""All SQL of the product: tables, queries and migrations. Only the edge commits."""
