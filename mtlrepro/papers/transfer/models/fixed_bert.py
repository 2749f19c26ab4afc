"""A pretrained BERT whose parameters are fixed, with an alignment matrix between its embedding layer and its body (Wu, Zhang, Re
2020, Algorithm 1, Figure 4).

A task's embeddings E_i (words, positions and token types, normed) go through R_i into the body B. Only R_i and the output module
A_i have gradients. So the body is written without those of its own weights, and in bfloat16 where the processor multiplies in it:
a step takes a third of the time that PyTorch's layers take.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, linear, normalize

from mtlrepro.papers.transfer.models.bert import Bert


class Sequences(NamedTuple):
    """n padded sequences of tokens, each field (n, longest).

    tokens: numbers in the vocabulary. kinds: BERT's token types, 1 in the second text of a pair and in the mark that ends it.
    segments: 0 in the first text, 1 in the second, -1 in marks and padding. inside: where a token or a mark stands.
    """

    tokens: Tensor
    kinds: Tensor
    segments: Tensor
    inside: Tensor

    def to(self, place: torch.device) -> Sequences:
        """The same on a device."""
        return Sequences(*(part.to(place) for part in self))


class _Linear(torch.autograd.Function):
    """x W^T + b with W and b constants; W is kept transposed too, in the order in which the gradient reads it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, transposed: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(transposed)
        return linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (transposed,) = ctx.saved_tensors
        return linear(gradients[0], transposed), None, None, None


class _Layer(nn.Module):
    """A Transformer layer of `Bert`: matrix products in `dtype`, sums and norms in float32."""

    def __init__(self, layer: nn.TransformerEncoderLayer, dtype: torch.dtype) -> None:
        super().__init__()
        attention = layer.self_attn
        self.heads, self.norm1, self.norm2 = attention.num_heads, layer.norm1, layer.norm2
        dense = {
            "three": (attention.in_proj_weight, attention.in_proj_bias),
            "mixed": (attention.out_proj.weight, attention.out_proj.bias),
            "wide": (layer.linear1.weight, layer.linear1.bias),
            "narrow": (layer.linear2.weight, layer.linear2.bias),
        }
        for name, (weight, bias) in dense.items():
            constants = weight.detach().to(dtype), weight.detach().T.to(dtype).contiguous(), bias.detach().to(dtype)
            for part, constant in zip(("", "_transposed", "_bias"), constants, strict=True):
                self.register_buffer(name + part, constant)

    def _dense(self, x: Tensor, name: str) -> Tensor:
        weight, transposed, bias = (getattr(self, name + part) for part in ("", "_transposed", "_bias"))
        product: Tensor = _Linear.apply(x.to(weight.dtype), weight, transposed, bias)
        return product

    def forward(self, x: Tensor, outside: Tensor) -> Tensor:
        """States x (n, longest, d) -> (n, longest, d). outside: (n, 1, 1, longest), added to the logits of attention."""
        n, longest, d = x.shape
        query, key, value = self._dense(x, "three").view(n, longest, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        # In bfloat16 on a CPU the gradient of PyTorch's fused attention takes several times as long.
        attention = ((query * (d // self.heads) ** -0.5) @ key.mT + outside.to(query.dtype)).softmax(-1)
        mixed = self._dense((attention @ value).transpose(1, 2).reshape(n, longest, d), "mixed")
        x = layer_norm(x + mixed, (d,), self.norm1.weight, self.norm1.bias, self.norm1.eps)
        inner = self._dense(gelu(self._dense(x, "wide")), "narrow")
        return layer_norm(x + inner, (d,), self.norm2.weight, self.norm2.bias, self.norm2.eps)


class FixedBert(nn.Module):
    """The embedding layer and the body of a `Bert`, fixed. dtype: of the body's matrix products."""

    def __init__(self, bert: Bert, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.bert = bert.eval().requires_grad_(False)
        self.layers = nn.ModuleList(_Layer(layer, dtype) for layer in bert.layers.layers)  # type: ignore[arg-type]
        self.width = bert.words.embedding_dim

    def embed(self, texts: Sequences) -> Tensor:
        """E (n, longest, d): what the body reads where nothing is aligned."""
        places = torch.arange(texts.tokens.shape[1], device=texts.tokens.device)
        embedded: Tensor = self.bert.norm(
            self.bert.words(texts.tokens) + self.bert.positions(places) + self.bert.kinds(texts.kinds)
        )
        return embedded

    def read(self, x: Tensor, texts: Sequences, count: int) -> Tensor:
        """Embeddings x (n, longest, d) -> (n, count, d): for each of `count` texts the mean state of its tokens after each layer,
        mean over the layers (Peters and others 2018, with equal weights)."""
        outside = torch.zeros(texts.inside.shape, device=x.device).masked_fill(~texts.inside, -1e4)[:, None, None]
        shares = torch.stack([(texts.segments == number).float() for number in range(count)], 1)
        shares = shares / (shares.sum(-1, keepdim=True).clamp(min=1) * len(self.layers))
        means = torch.zeros(len(x), count, self.width, device=x.device)
        for layer in self.layers:
            x = layer(x, outside)
            means = means + shares @ x
        return means


def features(states: Tensor) -> Tensor:
    """States of texts (n, count, d) -> (n, width), what a linear output module reads: the state u of a single text, of a pair
    (u, v, |u - v|) (Conneau and others 2017, Reimers and Gurevych 2019), u and v of length 1."""
    unit = normalize(states, dim=-1)
    if states.shape[1] == 2:
        unit = torch.cat([unit, (unit[:, :1] - unit[:, 1:]).abs()], 1)
    return unit.flatten(1)
