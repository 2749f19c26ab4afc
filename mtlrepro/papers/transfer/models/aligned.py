"""A shared encoder between task embeddings and output layers, with alignment matrices or with a control of the same size
(Wu, Zhang, Re 2020, Algorithm 1, Figure 4).

Task i predicts encoder(E_i R_i) C_i A_i. "aligned": R_i, d x d, starts as the identity and there is no C_i. "control": C_i, a
linear layer of the encoder's width that starts as the identity, and there is no R_i: as many parameters where the width is d, but
the shared encoder reads the embeddings as they are. "plain": neither. Where there is a rotation Q, the last task's embedding is
E Q in place of E: its data are then turned away from what the encoder has learned to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from torch import Tensor, nn

from mtlrepro.methods.alignment import AlignmentMatrices

Kind = Literal["plain", "aligned", "control"]
KINDS: tuple[Kind, ...] = ("plain", "aligned", "control")


class Encoder(Protocol):
    """What `AlignedBottom` shares: a module with an embedding and what reads it."""

    def embed(self, inputs: Any) -> tuple[Tensor, ...]:
        """Inputs -> embedding (..., d) and whatever else `read` needs."""

    def read(self, x: Tensor, *rest: Any) -> Tensor:
        """Embedding -> features (n, width)."""


class EmbeddedMLP(nn.Module):
    """Inputs that are embeddings (n, d) to one ReLU layer of `width`, after dropout."""

    def __init__(self, d: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layer, self.dropout = nn.Linear(d, width), nn.Dropout(dropout)

    def embed(self, inputs: Tensor) -> tuple[Tensor]:
        """(n, d) as they are."""
        return (inputs,)

    def read(self, x: Tensor) -> Tensor:
        """(n, d) -> (n, width)"""
        features: Tensor = self.dropout(self.layer(self.dropout(x)).relu())
        return features


class AlignedBottom(nn.Module):
    """One encoder for all tasks, a linear head each, and what `kind` says.

    d: width of the embeddings. width: of the encoder's features. classes: of each task. rotation: Q (d, d), None for none.
    """

    rotation: Tensor | None

    def __init__(self, encoder: nn.Module, d: int, width: int, classes: Sequence[int], kind: Kind = "plain") -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleList(nn.Linear(width, count) for count in classes)
        size = {"plain": 0, "aligned": d, "control": width}[kind]
        self.kind = kind
        self.matrices = AlignmentMatrices(size, len(classes) if size else 0)
        self.register_buffer("rotation", None)

    def embedding(self, inputs: Any, task: int) -> tuple[Tensor, ...]:
        """The embedding that the encoder reads, E_i R_i where there is an alignment, and the rest that it needs."""
        x, *rest = self.encoder.embed(inputs)  # type: ignore[operator]
        if self.rotation is not None and task == len(self.heads) - 1:
            x = x @ self.rotation
        return (x @ self.matrices[task] if self.kind == "aligned" else x, *rest)

    def forward(self, inputs: Any, task: int) -> Tensor:
        """Inputs of `task` -> (n, classes of the task)."""
        features = self.encoder.read(*self.embedding(inputs, task))  # type: ignore[operator]
        if self.kind == "control":
            features = features @ self.matrices[task]
        logits: Tensor = self.heads[task](features)
        return logits

    def shared_parameters(self) -> list[nn.Parameter]:
        """B: the encoder's."""
        return list(self.encoder.parameters())

    def turns(self) -> list[list[nn.Parameter]]:
        """What Algorithm 1 updates in turn, B fixed: the heads A, then the alignments R."""
        return [list(self.heads.parameters()), list(self.matrices)]
