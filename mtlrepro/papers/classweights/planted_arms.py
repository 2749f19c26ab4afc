"""What is compared on planted classes: ways to set the class weights, and rules for their derivative."""

# Arm -> title. "without c" leaves class c out and has no title.
PLANTED_ARMS = {
    "single": "single task", "equal": "all weights 1", "more labels": "all weights 1, held-out labels trained on",
    "one weight": "one weight, held-out", "uncertainty": "uncertainty", "ratio": "the paper's ratio",
    "ratio, every 10": "the ratio, every 10 batches", "ratio, every 50": "the ratio, every 50 batches",
    "scalar": "the ratio, scalar form", "random": "random gradients", "exact on the batch": "exact, training batch",
    "held-out": "exact, held-out (ours)", "oracle": "oracle", "inverse oracle": "inverse oracle",
}  # fmt: skip
# How the derivative by a class's weight is taken.
RULES = ("ratio", "scalar", "exact", "held-out", "reference")
