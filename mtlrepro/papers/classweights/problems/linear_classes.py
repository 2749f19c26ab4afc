"""Ten auxiliary classes, half of them harmful, and a linear bottleneck of one channel."""

from mtlrepro.papers.classweights.data.planted_classes import PlantedClasses
from mtlrepro.papers.classweights.problems._planted import FREQUENCIES, planted

PROBLEM = planted(
    PlantedClasses("linear", (400, 400, 1000), 0.3, 1.3, (0.2, 0.3, 0.4, 0.5, 0.6), 5, FREQUENCIES, 20),
    hidden=0,
    title="planted classes, linear",
)
