"""The science: pure functions from scores to what a client reads."""
