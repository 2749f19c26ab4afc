"""Laws of training with alignment: what each way moves, that the score is equation 6's, that tests stay out of choices."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mtlrepro.device import choose, generator
from mtlrepro.methods.alignment import covariance_similarity
from mtlrepro.papers.transfer import fig5b_alignment_sentences
from mtlrepro.papers.transfer.data import text
from mtlrepro.papers.transfer.training import aligned_runs, mixed_tasks, sentences

SMALL = {"encoder": "mlp", "epochs": 2, "rows": 120, "rate": 0.01}


@pytest.fixture(scope="module")
def small_sets():
    """Synthetic sentence sets of 200 sentences, and vectors of their words."""
    sets = text.synthetic_sentences(0, rows=dict.fromkeys(text.TASKS, 200))
    return sets, text.synthetic_vectors(sets)


@pytest.fixture(autouse=True)
def synthetic(monkeypatch, small_sets):
    """Every test trains on the embedded sets, wherever the real ones are."""
    cached = sentences.splits, sentences.prepare
    for function in cached:
        function.cache_clear()
    monkeypatch.setattr(sentences, "load_sets", lambda: small_sets)
    yield
    for function in cached:
        function.cache_clear()


def trained(ways, seed=0):
    prepared = sentences.prepare(("mr", "trec"), seed, False, "random", 120)
    build = fig5b_alignment_sentences._builder(prepared, "mlp", False, 0.3)
    options = {"rate": 0.01, "epochs": 2, "batch": 16, "place": choose("cpu")}
    return prepared, aligned_runs.train_ways(build, prepared.train, prepared.valid, seed, ways, **options)


def test_each_way_moves_what_it_says():
    _, models = trained(aligned_runs.WAYS)
    eye = torch.eye(50)
    moved = {way: [not torch.equal(square, eye) for square in model.squares] for way, model in models.items()}
    assert moved == {"plain": [], "aligned": [True] * 2, "control": [True] * 2, "fixed": [True] * 2, "fixed control": [False] * 2}
    shared = {way: torch.cat([p.flatten() for p in models[way].shared_parameters()]) for way in aligned_runs.WAYS}
    # Half of the training is common to both, and B does not move after it.
    assert torch.equal(shared["fixed"], shared["fixed control"])
    assert not torch.equal(shared["plain"], shared["aligned"])


def test_ways_do_not_depend_on_which_others_are_trained():
    _, alone = trained(["aligned"])
    _, beside = trained(["plain", "control", "aligned"])
    for a, b in zip(alone["aligned"].parameters(), beside["aligned"].parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_score_is_equation_6_of_every_word_in_the_training_sentences():
    prepared, models = trained(["aligned"])
    model = models["aligned"]
    vectors = []
    for task, part in enumerate(prepared.train):
        words = torch.cat([row[:length] for row, length in zip(part.tokens, part.lengths, strict=True)])
        vectors.append((prepared.vectors[words] @ model.squares[task].detach()).double())
    expected = float(covariance_similarity(*vectors))
    assert fig5b_alignment_sentences.similarity([(model, 0), (model, 1)], prepared.train) == pytest.approx(expected, rel=1e-5)


def test_with_fixed_word_vectors_the_score_moves_by_alignment_alone():
    rows = fig5b_alignment_sentences.pair(["mr", "sst"], 0, False, ways=["single", "plain", "control", "aligned"], **SMALL)
    score = {row["way"]: row["score"] for row in rows}
    assert score["single"] == score["plain"] == score["control"] != score["aligned"]
    assert rows == fig5b_alignment_sentences.pair(
        ["mr", "sst"], 0, False, ways=["single", "plain", "control", "aligned"], **SMALL
    )


def test_single_is_the_task_trained_by_itself():
    (alone,) = fig5b_alignment_sentences.pair(["cr"], 1, False, ways=["plain"], **SMALL)
    both = fig5b_alignment_sentences.pair(["cr", "subj"], 1, False, ways=["single"], **SMALL)
    assert both[0]["test"] == pytest.approx(alone["test"], abs=1e-6)


def test_the_test_part_takes_no_part_in_training_and_choice(monkeypatch):
    arguments = ["sst", "cr", 0, False]
    options = SMALL | {"tuning_epochs": 2, "ways": ["plain", "aligned"]}
    honest = fig5b_alignment_sentences.transfer(*arguments, **options)
    assert [row["way"] for row in honest] == ["plain", "aligned", "scratch"]
    prepare = sentences.prepare

    def turned(*args):
        found = prepare(*args)
        return replace(found, test=[replace(part, labels=1 - part.labels) for part in found.test])

    monkeypatch.setattr(sentences, "prepare", turned)
    for before, after in zip(honest, fig5b_alignment_sentences.transfer(*arguments, **options), strict=True):
        assert after["valid"] == before["valid"]
        assert after["test"] == pytest.approx(100 - before["test"])


def test_predictions_come_in_the_order_of_the_samples():
    prepared, models = trained(["plain"])
    part, model = prepared.test[0], models["plain"].eval()
    rows = torch.randperm(len(part), generator=generator(1))[:5]
    with torch.no_grad():
        expected = model(part.batch(rows, 0, choose("cpu")).inputs, 0).argmax(-1)
    assert torch.equal(mixed_tasks.predictions(model, part, 0, choose("cpu"))[rows], expected)
