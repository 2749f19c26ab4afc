"""Death in hospital, with the length of the stay: the Challenge of 2012."""

from mtlrepro.papers.hydalearn.problems._hospital_stays import stays

PROBLEM = stays("icu2012", "ICU 2012: death, with length of stay")
