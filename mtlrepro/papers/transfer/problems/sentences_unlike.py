"""Two sentence tasks whose features have the least similar covariances in Figure 6's pairs: kinds of questions, and opinions."""

from mtlrepro.papers.transfer.problems._sentence_pairs import pair

PROBLEM = pair("trec", "mpqa", "TREC, with MPQA: dissimilar covariances", "dissimilar covariances")
