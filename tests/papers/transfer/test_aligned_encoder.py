"""Laws of Figure 5a's network: a fixed body that reads as BERT does, R_i before it, tasks that share no trained parameter, and
rows that are scored apart from those that anything is trained or chosen on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from papers.transfer.tiny_bert import write_bert

from mtlrepro.device import generator
from mtlrepro.papers.transfer import fig5a_aligned_encoder as aligned
from mtlrepro.papers.transfer import fig5a_alignment_glue as glue
from mtlrepro.papers.transfer.data.glue import TASKS, GlueTask, synthetic_glue
from mtlrepro.papers.transfer.fig5a_whole_sets import WholeSets
from mtlrepro.papers.transfer.models.bert import load_bert
from mtlrepro.papers.transfer.models.fixed_bert import FixedBert, features
from mtlrepro.parameters import Params
from mtlrepro.results import Runs

PAIRS = GlueTask(
    "MRPC",
    ("play it", "played again , it"),
    ("again", "it it played !"),
    np.array([1, 0]),
    np.array([False, True]),
    "",
    "synthetic",
)


@pytest.fixture
def local(tmp_path, monkeypatch):
    """The folder of a tiny BERT; synthetic tasks; no caches of other tests."""
    monkeypatch.delenv("MTLREPRO_MIRROR", raising=False)
    cached = (glue.load_tasks, glue.encoder_folder, glue._glove, aligned.load_encoder)
    for function in cached:
        function.cache_clear()
    yield str(write_bert(tmp_path / "bert"))
    for function in cached:
        function.cache_clear()


def test_a_pair_is_one_sequence_with_marks_and_token_types(local):
    _, tokenizer = aligned.load_encoder(local)
    texts = aligned.tokenized(PAIRS, np.arange(2), tokenizer).sequences(torch.tensor([0]))
    read = [tokenizer.id_to_token(int(token)) for token in texts.tokens[0]]
    assert read == ["[CLS]", "play", "it", "[SEP]", "again", "[SEP]"]
    assert texts.kinds[0].tolist() == [0, 0, 0, 0, 1, 1]
    assert texts.segments[0].tolist() == [-1, 0, 0, -1, 1, -1]


def test_the_fixed_body_reads_as_bert_does_with_its_gradient(local):
    """Law: states and gradients to R are those of PyTorch's layers, whatever else is in the batch."""
    bert, tokenizer = load_bert(Path(local))
    fixed = FixedBert(bert)
    texts = aligned.tokenized(PAIRS, np.arange(2), tokenizer)
    matrix = (torch.eye(fixed.width) + 0.1 * torch.randn(fixed.width, fixed.width, generator=generator(3))).requires_grad_()

    def plain(rows):
        one = texts.sequences(rows)
        x, layers = fixed.embed(one) @ matrix, []
        for layer in bert.layers.layers:
            x = layer(x, src_key_padding_mask=~one.inside)
            layers.append(x)
        mean = torch.stack(layers).mean(0)
        return torch.stack(
            [(mean * (one.segments == i)[..., None]).sum(1) / (one.segments == i).sum(1)[:, None] for i in (0, 1)], 1
        )

    both = texts.sequences(torch.tensor([0, 1]))
    ours = fixed.read(fixed.embed(both) @ matrix, both, 2)
    theirs = torch.cat([plain(torch.tensor([i])) for i in (0, 1)])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    weights = torch.randn(features(ours).shape, generator=generator(4))
    gradients = [torch.autograd.grad((features(states) * weights).sum(), matrix)[0] for states in (ours, theirs)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-3)


TRIES = [{"way": way, "rate": 0.01, "epochs": [1, 3]} for way in aligned.WAYS]
OPTIONS = {"seed": 7, "stage": "final", "tries": TRIES, "singles": 60, "pairs": 50, "tested": 40, "batch": 8}


@pytest.mark.parametrize("encoder", ["local", "glove"])
def test_tasks_trained_together_are_tasks_trained_apart(local, encoder):
    """Law: with B fixed no trained parameter is common to two tasks, so that a group's scores are those of its tasks, exactly."""
    name = local if encoder == "local" else "glove"
    together = aligned.train(["CoLA", "MRPC", "RTE"], encoder=name, **OPTIONS)
    apart = [row for task in ("CoLA", "MRPC", "RTE") for row in aligned.train([task], encoder=name, **OPTIONS)]

    def ordered(rows):
        return sorted(rows, key=lambda row: (row["task"], row["way"], row["epochs"]))

    assert ordered(together) == ordered(apart)
    assert len(together) == 3 * len(TRIES) * 2


def test_tasks_trained_together_have_the_very_parameters_of_tasks_trained_apart(local):
    fixed, tokenizer = aligned.load_encoder(local)
    names = ["SST-2", "QNLI"]
    texts = [aligned.tokenized(task, np.arange(40), tokenizer) for task in map(synthetic_glue, names)]
    turned = torch.eye(fixed.width)

    def trained(chosen):
        networks = [aligned.Network(fixed, texts[i], aligned.WAYS["aligned"], turned, {}) for i in chosen]
        list(aligned._fit(networks, [texts[i] for i in chosen], [names[i] for i in chosen], 3, 0.01, [2], 8))
        return [dict(network.state_dict()) for network in networks]

    for one, alone in zip(trained([0, 1]), [trained([i])[0] for i in (0, 1)], strict=True):
        assert not torch.equal(one["matrix"], torch.eye(fixed.width))
        assert all(torch.equal(value, alone[name]) for name, value in one.items() if value is not None)


def test_every_way_starts_as_the_output_module_alone(local):
    """Law: at R = I all ways but the rotated ones read the same; the matrix behind the body has as many parameters as R."""
    fixed, tokenizer = aligned.load_encoder(local)
    texts = aligned.tokenized(PAIRS, np.arange(2), tokenizer)
    turned = torch.linalg.qr(torch.randn(fixed.width, fixed.width, generator=generator(1)))[0]
    made = {name: aligned.Network(fixed, texts, way, turned, {}) for name, way in aligned.WAYS.items()}
    for name in ("aligned", "behind"):
        torch.testing.assert_close(made[name].states(texts), made["plain"].states(texts))
        assert torch.equal(made[name].mean, made["plain"].mean)
    assert not torch.allclose(made["rotated"].states(texts), made["plain"].states(texts))
    sizes = {name: sum(p.numel() for p in network.parameters()) for name, network in made.items()}
    assert sizes["aligned"] == sizes["behind"] == sizes["plain"] + fixed.width**2
    assert sizes["rotated"] == sizes["plain"]


def test_a_matrix_that_turns_the_embeddings_back_undoes_the_rotation(local):
    """Law: the control can be passed: R = Q^T reads what stood there before."""
    fixed, tokenizer = aligned.load_encoder(local)
    texts = aligned.tokenized(PAIRS, np.arange(2), tokenizer)
    turned = torch.linalg.qr(torch.randn(fixed.width, fixed.width, generator=generator(1)))[0]
    network = aligned.Network(fixed, texts, aligned.WAYS["rotated aligned"], turned, {})
    network.matrix.data = turned.T.clone()
    plain = aligned.Network(fixed, texts, aligned.WAYS["plain"], turned, {})
    torch.testing.assert_close(network.states(texts), plain.states(texts), atol=1e-4, rtol=1e-3)


def test_what_is_scored_is_neither_trained_nor_chosen_on():
    for task in map(synthetic_glue, TASKS):
        chosen = set(aligned.split(task, 3, "search")[1])
        for seed in (999, 1000):
            known, scored = aligned.split(task, seed, "final")
            assert not set(known) & set(scored)
            assert not chosen & set(scored)
            first, last = aligned.split(task, seed, "search")
            assert set(last) == chosen
            assert not set(first) & chosen


def test_qnli_is_scored_in_parts_that_share_no_text(monkeypatch):
    task = synthetic_glue("QNLI")
    monkeypatch.setattr(aligned, "_QNLI_DEV", len(task))
    chosen = aligned.split(task, 0, "search")[1]
    parts = [chosen, *(aligned.split(task, seed, "final")[1] for seed in range(5))]
    assert sorted(np.concatenate(parts)) == list(range(len(task)))
    owner: dict[str, int] = {}
    for number, part in enumerate(parts):
        for i in part:
            for text in (task.first[i], task.second[i]):
                assert owner.setdefault(text, number) == number


def test_labels_of_scored_rows_take_no_part_in_training(local, monkeypatch):
    (honest,) = aligned.train(["SST-2"], encoder=local, **OPTIONS | {"tries": [{"way": "aligned", "rate": 0.01, "epochs": [2]}]})
    task = glue.load_tasks()["SST-2"]
    turned = GlueTask(
        task.name, task.first, task.second, np.where(task.test, 1 - task.labels, task.labels), task.test, task.sha256, task.tier
    )
    monkeypatch.setitem(glue.load_tasks(), "SST-2", turned)
    (other,) = aligned.train(["SST-2"], encoder=local, **OPTIONS | {"tries": [{"way": "aligned", "rate": 0.01, "epochs": [2]}]})
    assert other["score"] == pytest.approx(100 - honest["score"])


def test_only_the_judged_trainings_of_the_named_tasks_take_whole_sets(monkeypatch):
    seen = []
    monkeypatch.setattr(Runs, "map", lambda self, function, settings, *_: seen.extend(settings))
    runs = WholeSets(Params("transfer/fig5a", "quick", {"whole": ["MRPC"]}))
    settings = [{"tasks": [task], "pairs": 5, "singles": 4} for task in ("MRPC", "RTE")]
    runs.map(aligned.train, settings, "search")
    assert seen == settings
    seen.clear()
    runs.map(aligned.train, settings, "tasks")
    assert seen[0]["pairs"] > 100_000
    assert seen[1] == settings[1]
