"""Runs for a machine with a GPU that has PyTorch and NumPy alone: ``python -m mtlrepro.gpu``."""
