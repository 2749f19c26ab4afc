"""Every task weighting on every problem under one protocol: problems, trainings, statistics over problems, and what they show."""
