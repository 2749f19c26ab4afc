"""Death in hospital, with the length of the stay: SUPPORT2."""

from mtlrepro.papers.hydalearn.problems._hospital_stays import stays

PROBLEM = stays("support2", "SUPPORT2: death, with length of stay")
