"""A BERT encoder read from a local folder in Hugging Face's layout, for embeddings of a frozen encoder.

The folder holds config.json, vocab.txt and model.safetensors. Any BERT fits, from all-MiniLM-L6-v2 (Wang and others 2020) to
BERT-large (Devlin and others 2018). Layers are PyTorch's own Transformer layers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from torch import Tensor, nn

from mtlrepro.errors import DataCorrupt, DataMissing

FILES = ("config.json", "vocab.txt", "model.safetensors")


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
        states: Tensor = self.layers(x, src_key_padding_mask=~inside)
        return states


def _renamed(tensors: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Hugging Face's names to those of `Bert`."""
    plain = {name.removeprefix("bert."): value.float() for name, value in tensors.items()}
    ours = {
        "words.weight": plain["embeddings.word_embeddings.weight"],
        "positions.weight": plain["embeddings.position_embeddings.weight"],
        "kinds.weight": plain["embeddings.token_type_embeddings.weight"],
        **{f"norm.{part}": plain[f"embeddings.LayerNorm.{part}"] for part in ("weight", "bias")},
    }
    for i in range(layers):
        old, new = f"encoder.layer.{i}.", f"layers.layers.{i}."
        for part in ("weight", "bias"):
            three = [plain[f"{old}attention.self.{name}.{part}"] for name in ("query", "key", "value")]
            ours[f"{new}self_attn.in_proj_{part}"] = torch.cat(three)
            for torch_name, bert_name in (
                ("self_attn.out_proj", "attention.output.dense"),
                ("norm1", "attention.output.LayerNorm"),
                ("linear1", "intermediate.dense"),
                ("linear2", "output.dense"),
                ("norm2", "output.LayerNorm"),
            ):
                ours[f"{new}{torch_name}.{part}"] = plain[f"{old}{bert_name}.{part}"]
    return ours


def load_bert(folder: Path) -> tuple[Bert, Tokenizer]:
    """Encoder in eval mode and its tokenizer. Raises DataMissing for a missing file, DataCorrupt for one that does not fit."""
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
        model.load_state_dict(_renamed(load_file(folder / "model.safetensors"), config["num_hidden_layers"]), assign=True)
    except (KeyError, RuntimeError, SafetensorError) as error:
        raise DataCorrupt(f"{folder} holds no BERT encoder that can be read ({error}).") from error
    return model.eval().requires_grad_(False), _tokenizer(folder)


def _tokenizer(folder: Path) -> Tokenizer:
    """BERT's tokenizer: marks such as [SEP] that stand in a text are words of it like any other."""
    options = folder / "tokenizer_config.json"
    lower = json.loads(options.read_text(encoding="utf-8")).get("do_lower_case", True) if options.is_file() else True
    vocabulary = WordPiece.read_file(str(folder / "vocab.txt"))
    if missing := [mark for mark in ("[CLS]", "[SEP]", "[UNK]") if mark not in vocabulary]:
        raise DataCorrupt(f"{folder / 'vocab.txt'} lacks {', '.join(missing)}.")
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    return tokenizer


def embed(model: Bert, tokenizer: Tokenizer, texts: Sequence[str], longest: int = 64, batch: int = 64) -> Tensor:
    """Mean state of each text's tokens, scaled to length 1: (n, hidden) float32. Texts are cut at `longest` tokens."""
    device = model.words.weight.device
    tokenizer.enable_truncation(longest)
    tokens = [torch.tensor(encoding.ids) for encoding in tokenizer.encode_batch(list(texts))]
    lengths = torch.tensor([len(row) for row in tokens])
    means = torch.empty(len(texts), model.words.embedding_dim)
    with torch.no_grad():
        for rows in lengths.argsort(stable=True).split(batch):  # texts of like lengths, so that little is padded
            padded = nn.utils.rnn.pad_sequence([tokens[i] for i in rows], batch_first=True)
            inside = (torch.arange(padded.shape[1]) < lengths[rows, None]).to(device)
            states = model(padded.to(device), inside) * inside[..., None]
            means[rows] = nn.functional.normalize(states.sum(1) / inside.sum(1, keepdim=True), dim=-1).cpu()
    return means
