"""Sentence encoders read every word of a sentence and nothing behind it, and their output is as wide as their capacity."""

from __future__ import annotations

import pytest
import torch

from mtlrepro.device import generator, seeded
from mtlrepro.errors import BadValue
from mtlrepro.papers.transfer.models.sentence import ENCODERS, CNNEncoder, sentence_classifier

LENGTHS = torch.tensor([1, 2, 4, 7, 9])


def _sentences(vectors, longest=9):
    tokens = torch.randint(1, len(vectors), (len(LENGTHS), longest), generator=generator(1))
    return tokens, LENGTHS


@pytest.fixture
def vectors():
    return torch.randn(30, 6, generator=generator(0))


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("capacity", [3, 5, 10])
def test_the_output_is_as_wide_as_the_capacity(kind, capacity, vectors):
    with seeded(0):
        model = sentence_classifier(vectors, capacity, [2, 3], encoder=kind).eval()
    assert model.bottom(_sentences(vectors)).shape == (len(LENGTHS), capacity)
    assert [tuple(y.shape) for y in model(_sentences(vectors))] == [(len(LENGTHS), 2), (len(LENGTHS), 3)]


@pytest.mark.parametrize("kind", ENCODERS)
def test_what_stands_past_a_sentence_and_its_batch_do_not_matter_and_every_word_does(kind, vectors):
    with seeded(0):
        encode = ENCODERS[kind](vectors, 12, True, 0.0).eval()
    tokens, lengths = _sentences(vectors)
    together = encode((tokens, lengths))
    for row, length in enumerate(lengths.tolist()):
        alone = encode((tokens[row : row + 1, :length], lengths[row : row + 1]))
        torch.testing.assert_close(together[row : row + 1], alone)
        longer = torch.cat([tokens[row, :length], torch.tensor([5, 6, 7])])[None]
        torch.testing.assert_close(encode((longer, lengths[row : row + 1])), alone)
        inputs = encode.words(tokens[row : row + 1, :length]).detach().requires_grad_()
        encode.words.register_forward_hook(lambda *_, x=inputs: x)
        encode((tokens[row : row + 1, :length], lengths[row : row + 1])).sum().backward()
        encode.words._forward_hooks.clear()
        assert (inputs.grad.abs().sum(-1) > 0).float().mean() > 0.5


@pytest.mark.parametrize("tune", [True, False])
@pytest.mark.parametrize("kind", ENCODERS)
def test_word_vectors_are_trained_only_where_asked(kind, tune, vectors):
    with seeded(0):
        encode = ENCODERS[kind](vectors, 6, tune, 0.0)
    assert encode.words.weight.requires_grad == tune


def test_a_cnn_needs_a_filter_of_every_width(vectors):
    with pytest.raises(BadValue, match="as many filters"):
        CNNEncoder(vectors, 2)


def test_a_filter_responds_as_its_definition_says(vectors):
    with seeded(0):
        encode = CNNEncoder(vectors, 3).eval()
    words = torch.tensor([[3, 8, 2, 11, 5, 9]])
    window = encode.windows[1]
    x = vectors[words[0]]
    expected = max(float(((window.weight[0] * x[t : t + 4].T).sum() + window.bias).detach()) for t in range(3))
    assert float(encode((words, torch.tensor([6])))[0, 1].detach()) == pytest.approx(max(expected, 0.0), abs=1e-6)
