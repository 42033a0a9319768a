"""Retries that are safe: a request with an idempotency key has its effect once."""
