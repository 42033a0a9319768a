"""Projects: what keys, and with them data, belong to."""
