"""Usage: how much each key uses a day; counts alone."""
