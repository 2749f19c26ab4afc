"""A tiny BERT in a local folder, with random weights under Hugging Face's names."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from mtlrepro.device import generator

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "play", "##ing", "##ed", "it", "cafe", "again", "!", ","]
HIDDEN, LAYERS, INNER, POSITIONS = 8, 2, 12, 70


def tensors() -> dict[str, Tensor]:
    """Random weights under Hugging Face's names."""
    g = generator(5, "tiny bert")

    def normal(*shape: int) -> Tensor:
        return 0.5 * torch.randn(shape, generator=g)

    found = {
        "embeddings.word_embeddings.weight": normal(len(VOCABULARY), HIDDEN),
        "embeddings.position_embeddings.weight": normal(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": normal(2, HIDDEN),
        "embeddings.LayerNorm.weight": normal(HIDDEN),
        "embeddings.LayerNorm.bias": normal(HIDDEN),
    }
    for i in range(LAYERS):
        at = f"encoder.layer.{i}."
        sizes = {f"attention.self.{part}": (HIDDEN, HIDDEN) for part in ("query", "key", "value")}
        sizes |= {
            "attention.output.dense": (HIDDEN, HIDDEN),
            "intermediate.dense": (INNER, HIDDEN),
            "output.dense": (HIDDEN, INNER),
        }
        for name, shape in sizes.items():
            found |= {f"{at}{name}.weight": normal(*shape), f"{at}{name}.bias": normal(shape[0])}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            found |= {f"{at}{name}.weight": normal(HIDDEN), f"{at}{name}.bias": normal(HIDDEN)}
    return found


def write_bert(folder: Path, prefix: str = "") -> Path:
    """The files of an encoder's folder."""
    folder.mkdir(parents=True)
    save_file({prefix + name: value for name, value in tensors().items()}, folder / "model.safetensors", {"format": "pt"})
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    config = {
        "vocab_size": len(VOCABULARY), "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": 2,
        "intermediate_size": INNER, "max_position_embeddings": POSITIONS, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return folder
