"""Training: one loop, many runs at once, one place for devices."""
