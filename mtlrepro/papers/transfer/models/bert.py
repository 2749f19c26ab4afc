"""A BERT encoder read from a local folder in Hugging Face's layout, for embeddings of a frozen encoder.

The folder holds config.json, vocab.txt and model.safetensors, which holds numbers only. Any BERT fits, from all-MiniLM-L6-v2
(Wang and others 2020) to BERT-large (Devlin and others 2018). Layers are PyTorch's own Transformer layers.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtlrepro.errors import DataCorrupt, DataMissing

FILES = ("config.json", "vocab.txt", "model.safetensors")
_TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64, "I64": torch.int64}


class WordPiece:
    """BERT's tokens: words and punctuation marks, each cut greedily into the longest pieces of the vocabulary.

    vocabulary: pieces in order of their numbers, continuations marked with ##. lower: lower-case and without accents.
    """

    def __init__(self, vocabulary: Sequence[str], lower: bool = True) -> None:
        self.numbers = {piece: i for i, piece in enumerate(vocabulary)}
        self.lower = lower
        missing = [mark for mark in ("[CLS]", "[SEP]", "[UNK]", "[PAD]") if mark not in self.numbers]
        if missing:
            raise DataCorrupt(f"vocab.txt lacks {', '.join(missing)}.")

    def words(self, text: str) -> list[str]:
        """Words and single punctuation marks of a text."""
        if self.lower:
            text = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
        spaced = []
        for c in text:
            kind = unicodedata.category(c)
            if c.isspace() or kind == "Zs":
                spaced.append(" ")
            elif kind[0] != "C" and c != "\ufffd":
                # ASCII signs such as $ and ^ count as punctuation; Chinese characters are words of their own.
                alone = kind[0] == "P" or (c.isascii() and not c.isalnum()) or "\u4e00" <= c <= "\u9fff"
                spaced.append(f" {c} " if alone else c)
        return "".join(spaced).split()

    def pieces(self, word: str) -> list[int]:
        """Numbers of a word's pieces; a word that cannot be cut is one unknown piece."""
        found, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                number = self.numbers.get(("##" if start else "") + word[start:end])
                if number is not None:
                    found.append(number)
                    start = end
                    break
            else:
                return [self.numbers["[UNK]"]]
        return found

    def __call__(self, text: str, longest: int) -> list[int]:
        """[CLS], at most longest - 2 pieces, [SEP]."""
        found = [piece for word in self.words(text) for piece in self.pieces(word)]
        return [self.numbers["[CLS]"], *found[: longest - 2], self.numbers["[SEP]"]]


class Bert(nn.Module):
    """The encoder: token numbers (n, longest) and where a token stands (n, longest) -> states (n, longest, hidden)."""

    def __init__(
        self, vocabulary: int, hidden: int, layers: int, heads: int, inner: int, positions: int, eps: float = 1e-12
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, hidden)
        self.positions = nn.Embedding(positions, hidden)
        self.kinds = nn.Embedding(2, hidden)
        self.norm = nn.LayerNorm(hidden, eps)
        layer = nn.TransformerEncoderLayer(
            hidden, heads, inner, dropout=0.0, activation="gelu", layer_norm_eps=eps, batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, tokens: Tensor, inside: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.norm(self.words(tokens) + self.positions(places) + self.kinds.weight[0])
        found: Tensor = self.layers(x, src_key_padding_mask=~inside)
        return found


def read_safetensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name. Raises DataCorrupt."""
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    try:
        header: dict[str, Any] = json.loads(content[8 : 8 + size])
        header.pop("__metadata__", None)
        found = {}
        for name, entry in header.items():
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            flat = torch.frombuffer(bytearray(content[begin:end]), dtype=_TYPES[entry["dtype"]])
            found[name] = flat.reshape(entry["shape"])
    except (ValueError, KeyError, RuntimeError, UnicodeDecodeError) as error:
        raise DataCorrupt(f"{file} is no safetensors file that can be read ({error}).") from error
    return found


def _renamed(tensors: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Hugging Face's names to those of `Bert`."""
    plain = {name.removeprefix("bert."): value.float() for name, value in tensors.items()}
    found = {
        "words.weight": plain["embeddings.word_embeddings.weight"],
        "positions.weight": plain["embeddings.position_embeddings.weight"],
        "kinds.weight": plain["embeddings.token_type_embeddings.weight"],
        **{f"norm.{part}": plain[f"embeddings.LayerNorm.{part}"] for part in ("weight", "bias")},
    }
    for i in range(layers):
        old, new = f"encoder.layer.{i}.", f"layers.layers.{i}."
        for part in ("weight", "bias"):
            three = [plain[f"{old}attention.self.{name}.{part}"] for name in ("query", "key", "value")]
            found[f"{new}self_attn.in_proj_{part}"] = torch.cat(three)
            for ours, theirs in (
                ("self_attn.out_proj", "attention.output.dense"),
                ("norm1", "attention.output.LayerNorm"),
                ("linear1", "intermediate.dense"),
                ("linear2", "output.dense"),
                ("norm2", "output.LayerNorm"),
            ):
                found[f"{new}{ours}.{part}"] = plain[f"{old}{theirs}.{part}"]
    return found


def load_bert(folder: Path) -> tuple[Bert, WordPiece]:
    """Encoder in eval mode and its tokens. Raises DataMissing for a missing file, DataCorrupt for one that does not fit."""
    for name in FILES:
        if not (folder / name).is_file():
            raise DataMissing(f"{folder} holds no {name}: an encoder's folder needs {', '.join(FILES)}.")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    try:
        if config["hidden_act"] != "gelu":
            raise DataCorrupt(f"{folder}: activation {config['hidden_act']!r}; only gelu is known.")
        with torch.device("meta"):  # no memory and no random draws for weights that are read right after
            model = Bert(
                config["vocab_size"], config["hidden_size"], config["num_hidden_layers"], config["num_attention_heads"],
                config["intermediate_size"], config["max_position_embeddings"], config["layer_norm_eps"],
            )  # fmt: skip
        model.load_state_dict(_renamed(read_safetensors(folder / "model.safetensors"), config["num_hidden_layers"]), assign=True)
    except (KeyError, RuntimeError) as error:
        raise DataCorrupt(f"{folder} holds no BERT encoder that can be read ({error}).") from error
    options = folder / "tokenizer_config.json"
    lower = json.loads(options.read_text(encoding="utf-8")).get("do_lower_case", True) if options.is_file() else True
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return model.eval().requires_grad_(False), WordPiece(vocabulary, lower)


def embed(model: Bert, pieces: WordPiece, texts: Sequence[str], longest: int = 64, batch: int = 64) -> Tensor:
    """Mean state of each text's tokens, scaled to length 1: (n, hidden) float32. Texts are cut at `longest` tokens."""
    device = model.words.weight.device
    tokens = [pieces(text, longest) for text in texts]
    order = sorted(range(len(texts)), key=lambda i: len(tokens[i]))
    found = torch.empty(len(texts), model.words.embedding_dim)
    with torch.no_grad():
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            widest = len(tokens[rows[-1]])
            padded = torch.tensor(
                [tokens[i] + [pieces.numbers["[PAD]"]] * (widest - len(tokens[i])) for i in rows], device=device
            )
            inside = torch.arange(widest, device=device) < torch.tensor([[len(tokens[i])] for i in rows], device=device)
            states = model(padded, inside) * inside[..., None]
            found[rows] = nn.functional.normalize(states.sum(1) / inside.sum(1, keepdim=True), dim=-1).cpu()
    return found
