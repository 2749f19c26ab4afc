"""Laws of training on sentences: no leak, no look at test parts before selection, every sentence once an epoch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mtlrepro.device import generator, seeded
from mtlrepro.papers.transfer.data import text
from mtlrepro.papers.transfer.models.sentence import sentence_classifier
from mtlrepro.papers.transfer.training import sentences as lstm

SMALL = {"capacity": 4, "rate": 0.01, "seed": 0, "epochs": 2, "batch": 16, "rows": 120}


@pytest.fixture(autouse=True)
def synthetic(monkeypatch):
    """Every test trains on the embedded sets, wherever the real ones are."""
    sets = text.synthetic_sentences(0)
    vectors = text.synthetic_vectors(sets)
    cached = lstm.splits, lstm.prepare
    for function in cached:
        function.cache_clear()
    monkeypatch.setattr(lstm, "load_sets", lambda: (sets, vectors))
    yield sets
    for function in cached:
        function.cache_clear()


@pytest.mark.parametrize("tasks", [["cr"], ["mr", "trec", "sst"]])
def test_one_row_a_task_and_the_same_seed_gives_the_same_rows(tasks):
    first, second = (lstm.train(tasks, leak=False, **SMALL) for _ in range(2))
    assert first == second
    assert [row["task"] for row in first] == tasks
    assert {row["trained_on"] for row in first} == ({tasks[0]} if len(tasks) == 1 else {"all"})
    assert all(0 <= row[part] <= 100 for row in first for part in ("valid", "test"))


def test_training_and_selection_do_not_depend_on_the_test_part(monkeypatch):
    honest = lstm.train(["mr", "sst"], leak=True, **SMALL)
    prepare = lstm.prepare

    def with_false_test_labels(*args):
        found = prepare(*args)
        return replace(found, test=[replace(part, labels=1 - part.labels) for part in found.test])

    monkeypatch.setattr(lstm, "prepare", with_false_test_labels)
    for before, after in zip(honest, lstm.train(["mr", "sst"], leak=True, **SMALL), strict=True):
        assert after["test"] == pytest.approx(100 - before["test"])
        assert {k: v for k, v in before.items() if k != "test"} == {k: v for k, v in after.items() if k != "test"}


def test_without_leak_no_test_sentence_is_trained_or_selected_on_in_any_task(synthetic):
    def forms(seed, leak, *parts):
        found = lstm.splits(seed, leak)
        return {text.normal_form(synthetic[t].texts[i]) for t in synthetic for part in parts for i in getattr(found[t], part)}

    for seed in range(3):
        assert not forms(seed, False, "test") & forms(seed, False, "train", "valid")
        assert not forms(seed, False, "valid") & forms(seed, False, "train")
        assert forms(seed, True, "test") & forms(seed, True, "train")
        with_leak, without = lstm.splits(seed, True), lstm.splits(seed, False)
        assert all((with_leak[t].test == without[t].test).all() for t in synthetic)
    assert lstm.leaked(0)["mr"] > 0
    assert lstm.leaked(0)["trec"] == 0


def test_an_epoch_holds_every_sentence_once_in_batches_of_like_lengths():
    part = lstm.prepare(("mr",), 0, True).train[0]
    batches = part.batches(16, generator(1))
    assert sorted(torch.cat(batches).tolist()) == list(range(len(part)))
    spread = torch.stack([part.lengths[rows].max() - part.lengths[rows].min() for rows in batches]).float().mean()
    shuffled = torch.stack([c.max() - c.min() for c in part.lengths.split(16)]).float().mean()
    assert spread < shuffled / 2
    assert not all(torch.equal(a, b) for a, b in zip(batches, part.batches(16, generator(2)), strict=False))


def test_numbers_of_words_lead_back_to_the_words_vectors(synthetic):
    _, vectors = lstm.load_sets()
    prepared = lstm.prepare(("mr", "subj"), 0, True)
    first = synthetic["mr"].texts[lstm.splits(0, True)["mr"].test[0]]
    expected = torch.tensor(vectors.matrix[[vectors.index[word] for word in text.tokenize(first)]])
    part = prepared.test[0]
    assert torch.equal(prepared.vectors[part.tokens[0, : part.lengths[0]]], expected)


def test_what_stands_behind_a_sentence_does_not_change_its_outputs():
    vectors = torch.randn(9, 5, generator=generator(0))
    with seeded(0):
        model = sentence_classifier(vectors, 4, [2, 3]).eval()
    lengths = torch.tensor([2, 4])
    padded = torch.tensor([[3, 4, 0, 0, 0], [5, 6, 7, 8, 0]])
    other = torch.tensor([[3, 4, 8, 1, 2], [5, 6, 7, 8, 3]])
    torch.testing.assert_close(model((padded, lengths), 1), model((other, lengths), 1))
    torch.testing.assert_close(model((padded[:1, :2], lengths[:1]), 1), model((padded, lengths), 1)[:1])


@pytest.mark.parametrize("tune", [True, False])
def test_word_vectors_are_tuned_only_where_asked(tune):
    vectors = torch.randn(9, 5, generator=generator(0))
    with seeded(0):
        model = sentence_classifier(vectors, 4, [2], tune=tune)
    model((torch.tensor([[1, 2]]), torch.tensor([2])), 0).sum().backward()
    assert (model.bottom.words.weight.grad is not None) is tune
