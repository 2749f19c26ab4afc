"""Models: shared bottoms and task heads."""
