"""How emotion-v2 is made: data -> prepare -> teacher -> labels -> student -> calibrate -> export -> report."""
