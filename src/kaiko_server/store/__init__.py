"""Where data are kept: one SQL text, one migration history, one place that commits."""
