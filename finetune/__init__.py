"""Training: recipes read top to bottom. It knows neither serving nor SQL: it yields events and artefacts."""
