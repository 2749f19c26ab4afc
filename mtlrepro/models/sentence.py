"""Sentence classifiers: word vectors and an LSTM that all tasks share, one linear head a task.

Wu, Zhang, Re 2020, Appendix B.2: "the standard one-layer single direction LSTM [...] followed by a classification
layer"; the shared module is the embedding layer and the LSTM, and the entire model is fine-tuned. The capacity of the
model is the LSTM's output dimension (Section 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtlrepro.models.shared_bottom import SharedBottom


class LSTMEncoder(nn.Module):
    """Sentences to the LSTM's state after their last word.

    vectors: (words, dim) initial word vectors. capacity: hidden size. tune: whether word vectors are trained (the
    paper's choice). dropout: rate on the word vectors and on the state (our reading; the paper states none).
    """

    def __init__(self, vectors: Tensor, capacity: int, tune: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.words = nn.Embedding.from_pretrained(vectors.clone(), freeze=not tune)
        self.lstm = nn.LSTM(vectors.shape[1], capacity, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, sentences: tuple[Tensor, Tensor]) -> Tensor:
        """(words (n, longest) int64, lengths (n,) int64 >= 1) -> (n, capacity). What stands past a length is ignored."""
        tokens, lengths = sentences
        # An LSTM reads forward, so that padding behind a sentence cannot reach its last state.
        states, _ = self.lstm(self.dropout(self.words(tokens)))
        last = states[torch.arange(len(lengths), device=states.device), lengths - 1]
        return self.dropout(last)  # type: ignore[no-any-return]


def sentence_lstm(
    vectors: Tensor, capacity: int, classes: Sequence[int], tune: bool = True, dropout: float = 0.0
) -> SharedBottom:
    """A shared `LSTMEncoder` with one linear head a task; classes: number of classes of each task."""
    bottom = LSTMEncoder(vectors, capacity, tune, dropout)
    return SharedBottom(bottom, [nn.Linear(capacity, count) for count in classes])
