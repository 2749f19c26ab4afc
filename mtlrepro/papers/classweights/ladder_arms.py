"""What is compared on real data with planted classes: problems, in the order of the ladder, and arms of `PLANTED_ARMS`."""

# Set -> title.
RUNGS = {"digits": "digits", "cifar10": "CIFAR-10", "ludb": "LUDB", "cifar100": "CIFAR-100"}
# Arms whose weights are given, those that learn one weight, and those that learn a weight for each class.
GIVEN_ARMS = ("single", "equal", "oracle", "inverse oracle")
LEARNT_ARMS = ("ratio", "scalar", "exact on the batch", "held-out")
LADDER_ARMS = (*GIVEN_ARMS, "one weight", "uncertainty", *LEARNT_ARMS)
