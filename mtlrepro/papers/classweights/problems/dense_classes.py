"""Ten auxiliary classes, half of them harmful, and a hidden layer before the bottleneck of one channel."""

from mtlrepro.papers.classweights.data.planted_classes import PlantedClasses
from mtlrepro.papers.classweights.problems._planted import FREQUENCIES, planted

PROBLEM = planted(
    PlantedClasses("dense", (1200, 600, 1000), 0.3, 1.0, (0.2, 0.3, 0.4, 0.5, 0.6), 5, FREQUENCIES, 10),
    hidden=16,
    title="planted classes, dense",
)
