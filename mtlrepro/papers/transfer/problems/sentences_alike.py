"""Two sentence tasks whose features have the most similar covariances in Figure 6's pairs: customer and movie reviews."""

from mtlrepro.papers.transfer.problems._sentence_pairs import pair

PROBLEM = pair("cr", "mr", "CR, with MR: similar covariances", "similar covariances")
