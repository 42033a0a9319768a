"""Audit: who did what to keys, projects and contexts; a chain that shows whether somebody has changed it."""
