"""Adam for word vectors: its steps on all rows of an embedding at the cost of the rows that a batch reads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# Terms of a sum of powers of beta1 / sqrt(beta2) that are not lost in rounding.
_TERMS = 400


class RowAdam(torch.optim.Adam):
    """Adam (Kingma and Ba 2015, Algorithm 1) on all trained parameters of `model`.

    Where an embedding of the model is `sparse`, a step touches only its rows in the batch. The steps that Adam takes on any other
    row, by its momentum alone, are made up for in one sum when the row is next read: in training where a batch holds it, in eval
    mode in any case. So a model computes what it would with `torch.optim.Adam` on every row, up to rounding and, for entries
    whose gradients are as small as epsilon (1e-8), a part of a step. Its `state_dict` is right after a forward pass in eval mode,
    and only then may the learning rate change: after each epoch's validation, say.
    """

    def __init__(self, model: nn.Module, rate: float) -> None:
        tables = [m for m in model.modules() if isinstance(m, nn.Embedding) and m.sparse and m.weight.requires_grad]
        whole = {id(table.weight) for table in tables}
        super().__init__([p for p in model.parameters() if p.requires_grad and id(p) not in whole], lr=rate, fused=True)
        self.tables = [_Rows(table, self.param_groups[0]) for table in tables]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every parameter."""
        super().step(closure)
        for table in self.tables:
            table.step()


class _Rows:
    """An embedding's rows and their moments, each as of the step at which it was last read."""

    def __init__(self, table: nn.Embedding, group: dict[str, Any]) -> None:
        self.weight, self.group, self.betas, self.eps = table.weight, group, group["betas"], group["eps"]
        self.moments = torch.zeros(len(self.weight), 2, self.weight.shape[1], device=self.weight.device)
        self.last = torch.zeros(len(self.weight), dtype=torch.long, device=self.weight.device)
        self.steps = 0
        self.decays = torch.tensor(self.betas, dtype=torch.float64, device=self.weight.device)
        self.ratio = self.betas[0] / self.betas[1] ** 0.5
        self.ahead = self._ahead(1024)
        table.register_forward_pre_hook(lambda module, inputs: self.catch_up(inputs[0] if module.training else None))

    def _ahead(self, steps: int) -> Tensor:
        """(steps,) float64: at t, the sum over j >= 1 of (beta1 / sqrt(beta2))^j sqrt(1 - beta2^(t+j)) / (1 - beta1^(t+j)).

        Times rate m / sqrt(v), how far a row with moments m and v after step t moves in all steps behind it without a gradient.
        """
        t = torch.arange(1, steps + _TERMS, dtype=torch.float64, device=self.weight.device)
        corrections = (1 - self.betas[1] ** t).sqrt() / (1 - self.betas[0] ** t)
        powers = self.ratio ** torch.arange(1, _TERMS + 1, dtype=torch.float64, device=self.weight.device)
        return nn.functional.conv1d(corrections[None, None], powers[None, None])[0, 0]

    @torch.no_grad()
    def catch_up(self, words: Tensor | None) -> None:
        """Bring the rows of `words`, of all where it is None, to the present step."""
        rows = (self.last < self.steps).nonzero()[:, 0] if words is None else words.unique()
        if not len(rows) or not self.steps:
            return
        last = self.last.index_select(0, rows)
        missed = self.steps - last
        moments = self.moments.index_select(0, rows)
        mean, square = moments.unbind(1)
        # The epsilon of one of the missed steps, of the first few that are the largest, stands for that of all.
        epsilon = self.eps * (1 - self.betas[1] ** (last + missed.clamp(max=4)).double()).sqrt()
        far = self.group["lr"] * (self.ahead.index_select(0, last) - self.ratio ** missed.double() * self.ahead[self.steps])
        self.weight.index_add_(0, rows, far.float()[:, None] * mean / (square.sqrt() + epsilon.float()[:, None]), alpha=-1)
        self.moments.index_copy_(0, rows, moments * (self.decays ** missed[:, None]).float()[..., None])
        self.last.index_fill_(0, rows, self.steps)

    def step(self) -> None:
        """Adam's step on the rows that have a gradient, which a forward pass has brought to the present step."""
        self.steps += 1
        if self.steps == len(self.ahead):
            self.ahead = self._ahead(2 * self.steps)
        gradient = self.weight.grad
        if gradient is None:
            return
        gradient, self.weight.grad = gradient.coalesce(), None
        rows, values = gradient.indices()[0], gradient.values()
        moments = self.moments.index_select(0, rows)
        mean, square = moments.unbind(1)
        mean.lerp_(values, 1 - self.betas[0])
        square.mul_(self.betas[1]).addcmul_(values, values, value=1 - self.betas[1])
        correction = (1 - self.betas[1] ** self.steps) ** 0.5
        factor = self.group["lr"] * correction / (1 - self.betas[0] ** self.steps)
        self.weight.index_add_(0, rows, mean / (square.sqrt() + self.eps * correction), alpha=-factor)
        self.moments.index_copy_(0, rows, moments)
        self.last.index_fill_(0, rows, self.steps)
