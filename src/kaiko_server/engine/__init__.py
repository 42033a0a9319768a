"""The model server: text in, scores out. Knows neither HTTP nor SQL."""
