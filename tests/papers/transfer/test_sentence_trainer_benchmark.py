"""The sentence trainer beside the plain loop before it: milliseconds of a training step and of a validation batch, one thread.

The plain loop moves every row of the word vectors at each step by torch's fused Adam, drops out by torch's own dropout, reads the
CNN's windows by three `Conv1d`, and computes in float32. Sentences have 3 to 40 words of a vocabulary as large as that of the six
whole sets together, and come 32 a batch in order of length. Times are processor time of this process; the contenders take turns
of an epoch, as a step of a training finds the caches full of the step before it, and a batch counts by its least time: other work
on the machine only ever adds time. Before a validation the trainer brings all word vectors up to date, once an epoch.

    pytest tests/papers/transfer/test_sentence_trainer_benchmark.py --benchmark-enable -s
"""

from __future__ import annotations

import time
import types

import pytest
import torch
from ratios import report
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from mtlrepro.device import generator, seeded
from mtlrepro.models.shared_bottom import SharedBottom
from mtlrepro.papers.transfer.models.sentence import CNNEncoder, Kind, LSTMEncoder, sentence_classifier
from mtlrepro.papers.transfer.training.row_adam import RowAdam
from mtlrepro.papers.transfer.training.sentences import TokenizedSentences
from mtlrepro.training.loop import train_step
from mtlrepro.training.precision import Precision, has_bf16
from mtlrepro.training.weighting import Batch, Equal

WORDS, DIM, SENTENCES, BATCH, ROUNDS, RATE = 31_067, 50, 256, 32, 12, 1e-3
CPU = torch.device("cpu")
# Encoder, capacity, reach of the ratio of steps with tuned word vectors (None: none set).
NETWORKS: list[tuple[Kind, int, float | None]] = [
    ("mlp", 50, 2.0), ("cnn", 50, 2.0), ("lstm", 5, 2.0), ("lstm", 50, 2.0), ("lstm", 100, 2.0), ("lstm", 200, 2.0),
    ("lstm", 500, None),
]  # fmt: skip


def sentences(words: int = WORDS) -> TokenizedSentences:
    draw = generator(0, "sentences")
    lengths = torch.randint(3, 41, (SENTENCES,), generator=draw)
    # Few words stand often and most stand seldom.
    tokens = (2 + (words - 2) * torch.rand(SENTENCES, 40, generator=draw) ** 4).long()
    tokens[torch.arange(40) >= lengths[:, None]] = 0
    return TokenizedSentences(tokens, lengths, torch.randint(0, 2, (SENTENCES,), generator=draw))


def three_convolutions(self: CNNEncoder, x: Tensor, lengths: Tensor) -> Tensor:
    """`CNNEncoder.read` with a `Conv1d` for each width."""
    inside = torch.arange(x.shape[1]) < lengths[:, None]
    x = pad((self.dropout(x) * inside[..., None]).transpose(1, 2), (0, self.WIDTHS[-1] - 1))
    largest = []
    for width, convolve in zip(self.WIDTHS, self.windows, strict=True):
        responses = convolve(x)
        outside = torch.arange(responses.shape[2]) >= (lengths - width + 1).clamp(min=1)[:, None]
        largest.append(responses.masked_fill(outside[:, None], -torch.inf).amax(2))
    return self.dropout(torch.cat(largest, 1).relu())


class Trainer:
    """Steps of the trainer, or of the plain loop."""

    def __init__(
        self, encoder: Kind, capacity: int, tune: bool, plain: bool = False, *, dropout: float = 0.3, words: int = WORDS,
        precision: Precision = "auto",
    ) -> None:  # fmt: skip
        vectors = torch.randn(words, DIM, generator=generator(0, "vectors"))
        with seeded(0, "network"):
            self.model: SharedBottom = sentence_classifier(vectors, capacity, [2], tune, dropout, encoder)
        bottom, self.optimizer = self.model.bottom, None
        if isinstance(bottom, LSTMEncoder):
            bottom.precision = "float32" if plain else precision
        if plain:
            bottom.words.sparse, bottom.dropout = False, nn.Dropout(dropout)
            if encoder == "cnn":
                bottom.read = types.MethodType(three_convolutions, bottom)
            trained = [p for p in self.model.parameters() if p.requires_grad]
            self.optimizer = torch.optim.Adam(trained, RATE, fused=True)
        else:
            self.optimizer = RowAdam(self.model, RATE)
        self.part = sentences(words)
        self.order = self.part.batches(BATCH)

    def step(self, number: int) -> float:
        """One step on the batch of this number; its loss."""

        def losses(call, one: Batch) -> Tensor:
            return cross_entropy(call(one.inputs, one.task), one.targets)[None]

        self.model.train()
        one = self.part.batch(self.order[number % len(self.order)], 0, CPU)
        return float(train_step(self.model, one, losses, self.optimizer, Equal())[0])

    def outputs(self) -> Tensor:
        """Of all sentences."""
        with torch.no_grad():
            return self.model.eval()(self.part.batch(torch.arange(SENTENCES), 0, CPU).inputs, 0)


@pytest.fixture(autouse=True)
def seeded_dropout():
    with seeded(0, "dropout"):
        yield


@pytest.mark.parametrize("tune", [True, False])
@pytest.mark.parametrize("encoder", ["mlp", "cnn", "lstm"])
def test_in_float32_the_trainer_follows_the_plain_loop(encoder, tune):
    """Without dropout, whose draws differ, with a rate that halves after a look at all outputs: the losses of 40 steps to 2e-5,
    outputs to 1e-4, all parameters to a hundredth of Adam's step, tuned word vectors (of which some have gradients as small as
    epsilon) to a fifth of it, and all in the mean to a hundredth."""
    plain, trainer = (Trainer(encoder, 12, tune, plain, dropout=0.0, words=600, precision="float32") for plain in (True, False))
    steps: list[list[float]] = []
    for factor in (1.0, 0.5):
        for each in (plain, trainer):
            each.outputs()
            each.optimizer.param_groups[0]["lr"] = factor * RATE
        steps += [[each.step(number) for each in (plain, trainer)] for number in range(len(steps), len(steps) + 20)]
    losses = torch.tensor(steps)
    assert losses[-8:].mean() < losses[:8].mean() - 0.005
    torch.testing.assert_close(losses[:, 0], losses[:, 1], rtol=0, atol=2e-5)
    torch.testing.assert_close(plain.outputs(), trainer.outputs(), rtol=0, atol=1e-4)
    for name, p in plain.model.named_parameters():
        other = dict(trainer.model.named_parameters())[name]
        torch.testing.assert_close(other, p, rtol=0, atol=RATE / (5 if name == "bottom.words.weight" else 100))
        assert float((other - p).detach().abs().mean()) < RATE / 100


def test_in_bf16_an_lstm_follows_float32():
    """Without dropout, the losses of 40 steps to 0.01."""
    exact, short = (Trainer("lstm", 50, True, dropout=0.0, words=600, precision=p) for p in ("float32", "bf16"))
    losses = torch.tensor([[each.step(number) for each in (exact, short)] for number in range(40)])
    assert not torch.equal(losses[:, 0], losses[:, 1])
    torch.testing.assert_close(losses[:, 0], losses[:, 1], rtol=0, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("tune", [True, False])
@pytest.mark.parametrize(("encoder", "capacity", "target"), NETWORKS)
def test_a_step_beside_the_plain_loop(benchmark, encoder, capacity, target, tune):
    """Reports milliseconds and ratios beside the reach."""
    if not benchmark.enabled:
        pytest.skip("a benchmark: run with --benchmark-enable")
    contenders = {"plain": Trainer(encoder, capacity, tune, plain=True), "trainer": Trainer(encoder, capacity, tune)}
    batches = len(contenders["plain"].order)
    rounds = ROUNDS if capacity < 500 else ROUNDS // 2
    # Of each batch of an epoch, of the first validation batch behind it and of the next.
    taken = {what: torch.empty(rounds, batches + 2) for what in contenders}
    for turn in range(-1, rounds):
        for what, each in contenders.items():
            for number in range(batches + 2):
                start = time.process_time()
                if number < batches:
                    each.step(number)
                else:
                    each.outputs()
                taken[what][turn, number] = 1e3 * (time.process_time() - start)
    least = {what: each.amin(0) for what, each in taken.items()}
    steps = {what: float(each[:batches].mean()) for what, each in least.items()}
    validation = {what: float(each[-1]) for what, each in least.items()}
    benchmark.pedantic(contenders["trainer"].step, (0,), rounds=1)
    benchmark.extra_info |= {"bf16 in hardware": has_bf16(CPU)}
    of = f"sentence trainer, {encoder} {capacity}, word vectors {'tuned' if tune else 'frozen'}"
    for what, ms, bound in (("a step", steps, target if tune else None), ("a validation batch", validation, None)):
        unit = f"times as fast ({ms['plain']:.2f} to {ms['trainer']:.2f} ms)"
        reach = f"at least {bound:g}" if bound else ""
        report(benchmark, f"{of}: {what}, beside the plain loop", ms["plain"] / ms["trainer"], reach, unit)
    if tune:
        update = float(least["trainer"][-2] - least["trainer"][-1]) / steps["trainer"]
        report(benchmark, f"{of}: all word vectors brought up to date, beside a step", update)
