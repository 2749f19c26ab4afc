"""Laws of the BERT encoder: it computes BERT's formulas, padding and company change nothing, tokens are cut as BERT cuts them."""

from __future__ import annotations

import json

import pytest
import torch
from papers.transfer.tiny_bert import LAYERS, tensors, write_bert
from torch.nn.functional import gelu, layer_norm

from mtlrepro.errors import DataCorrupt, DataMissing
from mtlrepro.papers.transfer import fig5a_alignment_glue
from mtlrepro.papers.transfer.models.bert import FILES, embed, load_bert

TEXTS = ["play", "playing it , played !", "unseen caf\u00e9 play it again it it", ""]
# What the project's first loader, which read tokens and weights by itself, gave for them.
EMBEDDINGS = [
    [-0.408132, -0.242591, 0.419502, 0.702646, 0.067521, 0.199865, -0.171154, -0.176310],
    [-0.402902, -0.198632, 0.411710, 0.720035, 0.120903, 0.175595, -0.169893, -0.189591],
    [-0.403688, -0.213315, 0.413784, 0.715592, 0.108426, 0.180755, -0.170373, -0.186517],
    [-0.407836, -0.275860, 0.420286, 0.691773, 0.048787, 0.204032, -0.170926, -0.170749],
]


@pytest.fixture
def folder(tmp_path):
    return write_bert(tmp_path / "bert")


def formula(plain, tokens):
    """BERT's states of one sequence, from its formulas: tokens (n,) -> (n, hidden)."""
    name = "embeddings."
    x = plain[name + "word_embeddings.weight"][tokens] + plain[name + "position_embeddings.weight"][: len(tokens)]
    x = x + plain[name + "token_type_embeddings.weight"][0]

    def norm(x, which):
        return layer_norm(x, x.shape[-1:], plain[which + ".weight"], plain[which + ".bias"], 1e-12)

    def dense(x, which):
        return x @ plain[which + ".weight"].T + plain[which + ".bias"]

    x = norm(x, name + "LayerNorm")
    for i in range(LAYERS):
        at = f"encoder.layer.{i}."
        q, k, v = (
            dense(x, f"{at}attention.self.{part}").view(len(x), 2, -1).transpose(0, 1) for part in ("query", "key", "value")
        )
        mixed = ((q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v).transpose(0, 1).reshape(len(x), -1)
        x = norm(x + dense(mixed, f"{at}attention.output.dense"), f"{at}attention.output.LayerNorm")
        x = norm(x + dense(gelu(dense(x, f"{at}intermediate.dense")), f"{at}output.dense"), f"{at}output.LayerNorm")
    return x


def test_embeddings_are_those_of_the_formulas_whatever_else_is_in_the_batch(folder):
    model, tokenizer = load_bert(folder)
    embeddings = embed(model, tokenizer, TEXTS, longest=12, batch=3)
    for row, text in zip(embeddings, TEXTS, strict=True):
        mean = formula(tensors(), torch.tensor(tokenizer.encode(text).ids)).mean(0)
        torch.testing.assert_close(row, mean / mean.norm(), atol=1e-5, rtol=0)


def test_embeddings_are_those_of_the_loader_before_this_one(folder):
    embeddings = embed(*load_bert(folder), TEXTS, longest=12, batch=3)
    torch.testing.assert_close(embeddings, torch.tensor(EMBEDDINGS), atol=1e-5, rtol=0)


def test_weights_of_a_checkpoint_with_a_prefix_are_the_same(folder, tmp_path):
    other = write_bert(tmp_path / "prefixed", prefix="bert.")
    first, second = (embed(*load_bert(place), TEXTS) for place in (folder, other))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Playing", ["play", "##ing"]),
        ("caf\u00c9!", ["cafe", "!"]),
        ("play$it", ["play", "[UNK]", "it"]),
        ("zebra it", ["[UNK]", "it"]),
        ("\t it\u00a0 it\n", ["it", "it"]),
        ("[SEP]it", ["[UNK]", "[UNK]", "[UNK]", "it"]),
        ("", []),
    ],
)
def test_tokens_are_cut_greedily_into_the_longest_pieces(folder, text, expected):
    _, tokenizer = load_bert(folder)
    assert tokenizer.encode(text).tokens == ["[CLS]", *expected, "[SEP]"]


def test_a_case_sensitive_encoder_keeps_capitals_and_accents(folder):
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    _, tokenizer = load_bert(folder)
    assert tokenizer.encode("Play it caf\u00e9").tokens == ["[CLS]", "[UNK]", "it", "[UNK]", "[SEP]"]


def test_a_long_text_is_cut_and_still_ends(folder):
    model, tokenizer = load_bert(folder)
    torch.testing.assert_close(embed(model, tokenizer, ["it " * 50], longest=6), embed(model, tokenizer, ["it it it it"]))


@pytest.mark.parametrize("missing", FILES)
def test_a_folder_without_a_file_is_refused_by_its_name(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(DataMissing, match=missing):
        load_bert(folder)


def test_other_encoders_and_broken_files_are_refused(folder):
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\nit\n")
    with pytest.raises(DataCorrupt, match=r"vocab.txt lacks \[SEP\]"):
        load_bert(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(DataCorrupt, match="no BERT encoder"):
        load_bert(folder)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"\x05\x00\x00\x00\x00\x00\x00\x00nope!")
    with pytest.raises(DataCorrupt, match="no BERT encoder"):
        load_bert(folder)


# --- GLUE tasks on embeddings of a local encoder ----------------------------------------------------------------------


@pytest.fixture
def synthetic(monkeypatch):
    """No data and no caches of other tests."""
    monkeypatch.delenv("MTLREPRO_MIRROR", raising=False)
    cached = (
        fig5a_alignment_glue.load_tasks,
        fig5a_alignment_glue.pool,
        fig5a_alignment_glue.encoder_folder,
        fig5a_alignment_glue._glove,
    )
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


def test_a_local_encoder_is_read_once_and_its_embeddings_are_kept(folder, synthetic, monkeypatch):
    first = fig5a_alignment_glue.embeddings(TEXTS, str(folder))
    monkeypatch.setattr(fig5a_alignment_glue, "load_bert", lambda _: pytest.fail("the encoder was read again"))
    assert (fig5a_alignment_glue.embeddings(TEXTS, str(folder)) == first).all()
    with pytest.raises(pytest.fail.Exception):
        fig5a_alignment_glue.embeddings([*TEXTS, "again"], str(folder))


def test_other_weights_are_another_encoder(folder, tmp_path, synthetic):
    before = fig5a_alignment_glue.sources(str(folder))[1]
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(content))
    assert fig5a_alignment_glue.sources(str(folder))[1] != before


def test_glue_tasks_train_on_a_local_encoder_the_same_way_twice(folder, synthetic):
    options = {"encoder": str(folder), "ways": ["plain", "aligned"], "epochs": 2, "rows": 100, "tested": 40}
    first, second = (fig5a_alignment_glue.train(["CoLA", "MRPC"], 0, **options) for _ in range(2))
    assert first == second
    assert [(row["way"], row["task"]) for row in first] == [(w, t) for w in ("plain", "aligned") for t in ("CoLA", "MRPC")]


def test_test_samples_take_no_part_in_training_and_choice(synthetic, monkeypatch):
    options = {"encoder": "glove", "ways": ["plain"], "epochs": 2, "rows": 100, "tested": 60}
    (honest,) = fig5a_alignment_glue.train(["SST-2"], 0, **options)
    known, test = fig5a_alignment_glue.pool("SST-2", "glove", 100, 60, "cpu")
    monkeypatch.setattr(fig5a_alignment_glue, "pool", lambda *_: (known, fig5a_alignment_glue.Embedded(test.x, 1 - test.labels)))
    (turned,) = fig5a_alignment_glue.train(["SST-2"], 0, **options)
    assert turned["valid"] == honest["valid"]
    assert turned["test"] == pytest.approx(100 - honest["test"])
