"""API keys: made, shown once, listed, revoked, verified."""
