"""Sentence classifiers: word vectors and an encoder that all tasks share, one linear head per task.

Wu, Zhang, Re 2020, Appendix B.2: "the standard one-layer single direction LSTM [...] followed by a classification
layer"; the shared module is the embedding layer and the encoder, and the entire model is fine-tuned. Appendix B.5 compares
it with a CNN (Kim 2014) and an MLP (mean word vector, two layers). The capacity of every encoder is the width of its output:
the LSTM's output dimension (Section 3.3) and, in our reading, the CNN's number of filters and the width of the MLP's layers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from mtlrepro.errors import BadValue
from mtlrepro.models.shared_bottom import SharedBottom
from mtlrepro.training.precision import Precision, computing_in, precision_on

Kind = Literal["lstm", "cnn", "mlp"]


class _Dropout(nn.Dropout):
    """Dropout that decides each entry by 16 random bits, so at a rate within 2^-17 of `p`.

    A fourth of the time of torch's own on a CPU, which draws a double an entry.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x, or in training its entries times 0 or 1 / (1 - p)."""
        if not self.training or not self.p:
            return x
        drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = drawn.view(torch.int16)[: x.numel()].view(x.shape) >= round(self.p * 2**16) - 2**15
        return x * (kept * (1 / (1 - self.p)))


class _WordEncoder(nn.Module, ABC):
    """Word vectors, and an encoder that reads them.

    vectors: (words, dim) initial word vectors. tune: whether they are trained (the paper's choice); their gradient then holds the
    rows of a batch's words alone (see `RowAdam`). dropout: rate on the word vectors and on the features (our reading; the paper
    states none).
    """

    def __init__(self, vectors: Tensor, tune: bool, dropout: float) -> None:
        super().__init__()
        self.words = nn.Embedding.from_pretrained(vectors.clone(), freeze=not tune, sparse=tune)
        self.dropout = _Dropout(dropout)

    def embed(self, sentences: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """(words (n, longest), lengths (n,)) -> word vectors (n, longest, dim) and lengths."""
        return self.words(sentences[0]), sentences[1]

    @abstractmethod
    def read(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Word vectors and lengths -> features (n, capacity). What stands past a length is ignored."""

    def forward(self, sentences: tuple[Tensor, Tensor]) -> Tensor:
        """(words (n, longest) int64, lengths (n,) int64 >= 1) -> (n, capacity)."""
        return self.read(*self.embed(sentences))


class LSTMEncoder(_WordEncoder):
    """Sentences to the LSTM's state after their last word.

    capacity: hidden size. precision: of the LSTM; the other encoders know float32 alone.
    """

    def __init__(
        self, vectors: Tensor, capacity: int, tune: bool = True, dropout: float = 0.0, precision: Precision = "auto"
    ) -> None:
        super().__init__(vectors, tune, dropout)
        self.lstm = nn.LSTM(vectors.shape[1], capacity, batch_first=True)
        self.precision = precision

    def read(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Word vectors x (n, longest, dim), lengths (n,) >= 1 -> (n, capacity). What stands past a length is ignored."""
        # An LSTM reads forward, so that padding behind a sentence cannot reach its last state.
        with computing_in(precision_on(x.device, self.precision), x.device):
            states, _ = self.lstm(self.dropout(x))
        last = states[torch.arange(len(lengths), device=states.device), lengths - 1].float()
        return self.dropout(last)  # type: ignore[no-any-return]


class CNNEncoder(_WordEncoder):
    """Sentences to the largest response of each filter over windows of 3, 4 and 5 words (Kim 2014), after a ReLU.

    capacity: number of filters >= 3, shared out evenly over the widths.
    """

    WIDTHS = (3, 4, 5)
    widths: Tensor

    def __init__(self, vectors: Tensor, capacity: int, tune: bool = True, dropout: float = 0.0) -> None:
        super().__init__(vectors, tune, dropout)
        if capacity < len(self.WIDTHS):
            raise BadValue(f"A CNN with windows of {len(self.WIDTHS)} widths needs as many filters; capacity is {capacity}.")
        filters = [(capacity + i) // len(self.WIDTHS) for i in range(len(self.WIDTHS))]
        self.windows = nn.ModuleList(nn.Conv1d(vectors.shape[1], n, width) for n, width in zip(filters, self.WIDTHS, strict=True))
        self.register_buffer("widths", torch.tensor(self.WIDTHS).repeat_interleave(torch.tensor(filters)), persistent=False)

    def read(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Word vectors x (n, longest, dim), lengths (n,) >= 1 -> (n, capacity). What stands past a length is ignored."""
        x = self.dropout(x) * _inside(x, lengths)[..., None]
        # All filters in one matrix product, narrow ones with zeros behind them; a `Conv1d` for each width takes longer on a CPU.
        longest, widest = x.shape[1], self.WIDTHS[-1]
        x = nn.functional.pad(x, (0, 0, 0, widest - 1))
        windows = torch.cat([x[:, i : i + longest] for i in range(widest)], 2)
        filters = [nn.functional.pad(one.weight, (0, widest - one.weight.shape[2])) for one in self.windows]  # type: ignore
        biases = torch.cat([one.bias for one in self.windows])  # type: ignore[misc]
        responses = nn.functional.linear(windows, torch.cat(filters).transpose(1, 2).flatten(1), biases)
        # A sentence shorter than a window is read once, with zeros behind it.
        starts = (lengths[:, None] - self.widths + 1).clamp(min=1)
        outside = torch.arange(longest, device=x.device)[:, None] >= starts[:, None]
        return self.dropout(responses.masked_fill(outside, -torch.inf).amax(1).relu())  # type: ignore[no-any-return]


class MLPEncoder(_WordEncoder):
    """Sentences to two ReLU layers on the mean of their word vectors.

    capacity: width of both layers.
    """

    def __init__(self, vectors: Tensor, capacity: int, tune: bool = True, dropout: float = 0.0) -> None:
        super().__init__(vectors, tune, dropout)
        self.layers = nn.Sequential(nn.Linear(vectors.shape[1], capacity), nn.ReLU(), nn.Linear(capacity, capacity), nn.ReLU())

    def read(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Word vectors x (n, longest, dim), lengths (n,) >= 1 -> (n, capacity). What stands past a length is ignored."""
        x = self.dropout(x) * _inside(x, lengths)[..., None]
        return self.dropout(self.layers(x.sum(1) / lengths[:, None]))  # type: ignore[no-any-return]


def _inside(x: Tensor, lengths: Tensor) -> Tensor:
    """(n, longest), true where a word stands and false where padding does, for word vectors x (n, longest, dim)."""
    return torch.arange(x.shape[1], device=x.device) < lengths[:, None]


ENCODERS: dict[str, Callable[[Tensor, int, bool, float], nn.Module]] = {
    "lstm": LSTMEncoder,
    "cnn": CNNEncoder,
    "mlp": MLPEncoder,
}


def sentence_classifier(
    vectors: Tensor, capacity: int, classes: Sequence[int], tune: bool = True, dropout: float = 0.0, encoder: Kind = "lstm"
) -> SharedBottom:
    """A shared encoder with one linear head per task; classes: number of classes of each task."""
    bottom = ENCODERS[encoder](vectors, capacity, tune, dropout)
    return SharedBottom(bottom, [nn.Linear(capacity, count) for count in classes])
