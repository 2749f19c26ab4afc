"""Algorithm 1 on GLUE: R_i between the embedding layer and the fixed body of a pretrained encoder (Wu, Zhang, Re 2020, Fig. 5a).

With the body B fixed, the loss is a sum over tasks, and no parameter that is trained stands in two of its terms. Training a group
of tasks together is then training each of them alone: every task is trained once per seed, and groups are put together from that.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mtlrepro.device import choose, deterministic, generator, seeded
from mtlrepro.papers.transfer import fig5a_alignment_glue as glue
from mtlrepro.papers.transfer.data.glue import GlueTask
from mtlrepro.papers.transfer.models.bert import Bert, load_bert
from mtlrepro.papers.transfer.models.fixed_bert import FixedBert, Sequences, features
from mtlrepro.papers.transfer.training.aligned_runs import rotation
from mtlrepro.papers.transfer.training.mixed_tasks import accuracy
from mtlrepro.parameters import Params
from mtlrepro.results import Runs
from mtlrepro.training.precision import precision_on

Row = dict[str, Any]
Ints = NDArray[np.int64]
# Longest sequence in tokens, both texts of a pair together.
_LONGEST = 128
# Pairs of QNLI's development set; where there is no more of QNLI, it is cut into these parts, the last one to choose on.
_QNLI_DEV, _FOLDS = 5463, 6
# A fifth of a training part, at most so many, is what rate and epochs are chosen on.
_VALID = 1000


class Way(NamedTuple):
    """What stands in a task's network besides A_i. before: R_i between embeddings and body. behind: a matrix of R_i's size
    between body and output module. rotated: the embeddings are turned by a random rotation, which stays as it is."""

    before: bool = False
    behind: bool = False
    rotated: bool = False


WAYS = {
    "plain": Way(),
    "aligned": Way(before=True),
    "behind": Way(behind=True),
    "rotated": Way(rotated=True),
    "rotated aligned": Way(before=True, rotated=True),
}
# Whose choice of rate and epochs a way is trained with.
CHOICE = {"plain": "plain", "aligned": "aligned", "behind": "behind", "rotated": "plain", "rotated aligned": "aligned"}
# The task whose embeddings are rotated and then aligned as well: of those on single texts, whose sequences are short, the one
# with the higher level above the larger class, so that a rotation has something to cost.
ROTATED = "SST-2"


# --- encoder ----------------------------------------------------------------------------------------------------------


@functools.cache
def load_encoder(encoder: str, device: str = "cpu") -> tuple[FixedBert, Tokenizer]:
    """The fixed encoder and its tokenizer; for "glove", and where MiniLM is not at hand, a body with random weights."""
    place = choose(device)
    folder = glue.encoder_folder(encoder)
    bert, tokenizer = random_encoder() if folder is None else load_bert(folder)
    dtype = torch.bfloat16 if folder is not None and precision_on(place) == "bf16" else torch.float32
    tokenizer.enable_truncation(_LONGEST)
    return FixedBert(bert, dtype).to(place), tokenizer


def random_encoder(layers: int = 2, heads: int = 5) -> tuple[Bert, Tokenizer]:
    """A small Transformer with random weights on GloVe's word vectors, in place of a pretrained encoder."""
    vectors = glue._glove()
    marks = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys([*marks, *vectors.words]))}
    d = vectors.matrix.shape[1]
    with seeded(0, "random encoder"):
        bert = Bert(len(vocabulary), d, layers, heads, 4 * d, _LONGEST)
        bert.words.weight.data[[vocabulary[word] for word in vectors.words]] = torch.from_numpy(vectors.matrix)
        for embedding in (bert.positions, bert.kinds):
            embedding.weight.data *= 0.1
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    return bert, tokenizer


# --- data -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Texts:
    """n single texts (count 1) or pairs of texts in one sequence each (count 2).

    padded: (3, n, longest), the first three fields of `Sequences`. lengths: (n,). labels: (n,) 0 or 1.
    """

    padded: Tensor
    lengths: Tensor
    labels: Tensor
    count: int

    def __len__(self) -> int:
        return len(self.labels)

    def sequences(self, rows: Tensor) -> Sequences:
        """Some of them, padded to the longest of these."""
        lengths = self.lengths[rows]
        longest = int(lengths.max())
        tokens, kinds, segments = self.padded[:, rows, :longest]
        return Sequences(tokens, kinds, segments, torch.arange(longest) < lengths[:, None])

    def batches(self, size: int, order: torch.Generator | None = None) -> list[Tensor]:
        """Row numbers of all batches, each of like lengths, so that little is padded; shuffled with a generator."""
        if order is None:
            return list(self.lengths.argsort(stable=True).split(size))
        batches = []
        for some in torch.randperm(len(self), generator=order).split(16 * size):
            batches += some[self.lengths[some].argsort(stable=True)].split(size)
        return [batches[i] for i in torch.randperm(len(batches), generator=order)]


def tokenized(task: GlueTask, rows: Ints, tokenizer: Tokenizer) -> Texts:
    """Some of a task's rows as token sequences."""
    if task.second is None:
        encoded = tokenizer.encode_batch([task.first[i] for i in rows])
    else:
        encoded = tokenizer.encode_batch([(task.first[i], task.second[i]) for i in rows])
    lengths = torch.tensor([len(one.ids) for one in encoded])
    padded = torch.zeros(3, len(encoded), int(lengths.max()), dtype=torch.int64)
    padded[2] = -1
    for i, one in enumerate(encoded):
        segments = [-1 if text is None else text for text in one.sequence_ids]
        padded[:, i, : len(segments)] = torch.tensor([one.ids, one.type_ids, segments])
    return Texts(padded, lengths, torch.from_numpy(task.labels[rows]), 1 if task.second is None else 2)


def split(task: GlueTask, seed: int, stage: str) -> tuple[Ints, Ints]:
    """Rows to train on, in the order in which `seed` takes them, and rows that are scored.

    "search" scores a part of the training rows that is the same for every seed, and trains on the others. Any other stage trains
    on all training rows and scores the test part. Where only QNLI's development set is at hand, seeds score its parts in turn and
    train on all others; no question and no sentence is in two parts.
    """
    if task.name == "QNLI" and len(task) == _QNLI_DEV:
        part = _parts(task)
        scored = part == (_FOLDS - 1 if stage == "search" else seed % (_FOLDS - 1))
        known, scored = np.flatnonzero(~scored), np.flatnonzero(scored)
    else:
        known, scored = np.flatnonzero(~task.test), np.flatnonzero(task.test)
        if stage == "search":
            mixed = np.random.default_rng(23).permutation(known)
            held = min(len(mixed) // 5, _VALID)
            known, scored = mixed[held:], mixed[:held]
    return np.random.default_rng([seed, *task.name.encode()]).permutation(known), scored


@functools.cache
def _parts(task: GlueTask) -> Ints:
    """(n,) number of the part of each row of pairs that share no text across parts."""
    _, number = np.unique(np.array([*task.first, *(task.second or ())]), return_inverse=True)
    first, second = number[: len(task)], number[-len(task) :]
    links = coo_array((np.ones(len(task)), (first, second)), shape=(number.max() + 1,) * 2)
    groups, of_text = connected_components(links, directed=False)
    part: Ints = np.random.default_rng(5).integers(_FOLDS, size=groups)[of_text[first]]
    return part


# --- training ---------------------------------------------------------------------------------------------------------


class Network(nn.Module):
    """One task's parameters before and behind the fixed encoder: R_i and the output module A_i, from R_i = I and A_i = 0 on.

    What A_i reads is put to mean 0 and variance 1 by its moments over the training texts at R_i = I.
    """

    matrix: Any
    rotation: Tensor | None
    mean: Tensor
    deviation: Tensor

    def __init__(self, encoder: FixedBert, texts: Texts, way: Way, turned: Tensor, kept: dict[Any, Tensor]) -> None:
        """turned: the rotation (d, d). kept: states of texts that other networks on this encoder have read."""
        super().__init__()
        self.way, self.place, self.kept = way, turned.device, kept
        self.encoder = [encoder]  # in a list: its parameters are no parameters of this module
        self.matrix = nn.Parameter(torch.eye(encoder.width, device=self.place)) if way.before or way.behind else None
        self.register_buffer("rotation", turned if way.rotated else None)
        x = features(self.states(texts))
        self.register_buffer("mean", x.mean(0))
        self.register_buffer("deviation", x.std(0).clamp(min=1e-6))
        self.head = nn.utils.skip_init(nn.Linear, x.shape[1], 2, device=self.place)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def read(self, texts: Texts, rows: Tensor) -> Tensor:
        """(rows, count, d), what the body makes of some texts, with a gradient to R_i where that stands before the body."""
        if not self.way.before:
            return self.states(texts)[rows.to(self.place)]
        return self._body(texts, rows)

    def _body(self, texts: Texts, rows: Tensor) -> Tensor:
        (encoder,) = self.encoder
        sequences = texts.sequences(rows).to(self.place)
        x = encoder.embed(sequences)
        if self.rotation is not None:
            x = x @ self.rotation
        if self.way.before:
            x = x @ self.matrix
        return encoder.read(x, sequences, texts.count)

    @torch.no_grad()
    def states(self, texts: Texts) -> Tensor:
        """(n, count, d), what the body makes of all texts now; read once where nothing before the body is trained."""
        key = id(texts), self.way.rotated
        if not self.way.before and key in self.kept:
            return self.kept[key]
        (encoder,) = self.encoder
        states = torch.empty(len(texts), texts.count, encoder.width, device=self.place)
        for rows in texts.batches(64):
            states[rows.to(self.place)] = self._body(texts, rows)
        if not self.way.before:
            self.kept[key] = states
        return states

    def answer(self, states: Tensor) -> Tensor:
        """States of texts (n, count, d) -> logits (n, 2)."""
        if self.way.behind:
            states = states @ self.matrix
        logits: Tensor = self.head((features(states) - self.mean) / self.deviation)
        return logits


def train(
    tasks: list[str],
    seed: int,
    stage: str,
    tries: list[dict[str, Any]],
    encoder: str,
    singles: int,
    pairs: int,
    tested: int = 0,
    batch: int = 32,
    device: str = "cpu",
) -> list[Row]:
    """GLUE tasks trained together, B fixed, once for each of `tries`: one row per try, number of epochs and task.

    stage: as in `split`. tries: each a `way`, a `rate` and the numbers of `epochs` after which a row is taken of one training.
    singles, pairs: training samples of a task on single texts and of one on pairs, at most. tested: scored samples, 0 for all.
    Row: `score`, 100 times the GLUE metric, `accuracy` in percent, both also for always answering training's larger class
    (`majority`, `larger`); `trained` and `scored`, numbers of samples; `pretrained`, whether the body is.
    """
    place, pretrained = choose(device), glue.encoder_folder(encoder) is not None
    fixed, tokenizer = load_encoder(encoder, device)
    known, scored = [], []
    for name in tasks:
        task = glue.load_tasks()[name]
        first, last = split(task, seed, stage)
        known.append(tokenized(task, first[: singles if task.second is None else pairs], tokenizer))
        scored.append(tokenized(task, last[: tested or None], tokenizer))
    rows = []
    with deterministic(threads=1):
        turned = rotation(seed, fixed.width, place)
        made: dict[Way, list[Network]] = {}
        kept: dict[Any, Tensor] = {}
        for one in tries:
            way = WAYS[one["way"]]
            if way not in made:
                made[way] = [Network(fixed, texts, way, turned, kept) for texts in known]
            start = [{name: value.clone() for name, value in network.state_dict().items()} for network in made[way]]
            for epochs in _fit(made[way], known, tasks, seed, one["rate"], one["epochs"], batch):
                for name, network, train_texts, texts in zip(tasks, made[way], known, scored, strict=True):
                    row = {"task": name, "way": one["way"], "rate": one["rate"], "epochs": epochs, "trained": len(train_texts)}
                    rows.append(row | _scores(name, network, train_texts, texts) | {"pretrained": pretrained})
            for network, state in zip(made[way], start, strict=True):
                network.load_state_dict(state)
    return rows


def _fit(
    networks: Sequence[Network],
    known: Sequence[Texts],
    names: Sequence[str],
    seed: int,
    rate: float,
    epochs: Sequence[int],
    batch: int,
) -> Iterator[int]:
    """Train in place, batches of all tasks mixed; yield each number of `epochs` once that many are done.

    On every batch Adam takes a step on the task's A_i, then one on its R_i with the gradient at the new A_i. The batches of a
    task are drawn from a stream of its own.
    """
    outputs = torch.optim.Adam([p for network in networks for p in network.head.parameters()], lr=rate)
    matrices = [network.matrix for network in networks if network.matrix is not None]
    alignments = torch.optim.Adam(matrices, lr=rate) if matrices else None
    for epoch in range(1, max(epochs) + 1):
        batches = [texts.batches(batch, generator(seed, name, epoch)) for name, texts in zip(names, known, strict=True)]
        turns = torch.tensor([number for number, own in enumerate(batches) for _ in own])
        for number in turns[torch.randperm(len(turns), generator=generator(seed, "mixed", epoch))].tolist():
            rows = batches[number].pop()
            network, labels = networks[number], known[number].labels[rows].to(networks[number].place)
            states = network.read(known[number], rows)
            outputs.zero_grad()
            cross_entropy(network.answer(states.detach()), labels).backward(inputs=list(network.head.parameters()))
            outputs.step()
            if alignments is not None:
                alignments.zero_grad()
                cross_entropy(network.answer(states), labels).backward(inputs=[network.matrix])
                alignments.step()
        if epoch in epochs:
            yield epoch


def _scores(name: str, network: Network, known: Texts, texts: Texts) -> Row:
    with torch.no_grad():
        predicted = network.answer(network.states(texts)).argmax(-1).cpu()
    constant = torch.full_like(texts.labels, int(known.labels.mode().values))
    metric = glue.METRICS[name]
    points = {
        "score": metric(texts.labels, predicted), "accuracy": accuracy(texts.labels, predicted),
        "majority": metric(texts.labels, constant), "larger": accuracy(texts.labels, constant),
    }  # fmt: skip
    return {key: round(100 * value, 4) for key, value in points.items()} | {"scored": len(texts)}


# --- the figure -------------------------------------------------------------------------------------------------------


def figure_5a(runs: Runs, p: Params, data: dict[str, str]) -> pd.DataFrame:
    """The search for rate and epochs, then every task with them on seeds that took no part in it. Rows of `train`, their `stage`
    "search", "final" or, with twice the epochs, "doubled". data: name -> sha256 of what is read."""
    given = {name: getattr(p, name) for name in ("encoder", "singles", "pairs", "tested", "batch", "device")}

    def one(task: str, seed: int, stage: str, tries: list[dict[str, Any]]) -> dict[str, Any]:
        return given | {"tasks": [task], "seed": seed, "stage": stage, "tries": tries}

    # Long sequences first, so that no long run is left for the end.
    order = ("RTE", "MRPC", "QNLI", "SST-2", "CoLA")
    grid = [{"rate": rate, "epochs": list(p.epochs)} for rate in p.rates]
    # What trains nothing before the body reads each text once for the whole grid, and is searched on as many seeds as are judged.
    cheap = [{"way": way} | each for way in ("plain", "behind") for each in grid]
    tries = [
        one(task, seed, "search", [{"way": "aligned"} | each])
        for task in order for seed in range(p.first_seed - p.search_seeds, p.first_seed) for each in grid
    ]  # fmt: skip
    tries += [one(task, seed, "search", cheap) for task in order for seed in range(p.first_seed - p.seeds, p.first_seed)]
    search = runs.map(train, tries, "search", data=data)
    best = {way: chosen(search, way) for way in ("plain", "behind", "aligned")}

    def final(ways: Sequence[str], few: bool) -> list[dict[str, Any]]:
        choices = [(way, *best[CHOICE[way]]) for way in ways]
        return [{"way": way, "rate": rate, "epochs": [epochs, 2 * epochs][: 1 + few]} for way, rate, epochs in choices]

    settings = []
    for i, task in itertools.product(range(p.seeds), order):
        few, turned = i < p.control_seeds, task == ROTATED
        for ways in (["aligned"], ["rotated aligned"] if turned else [], ["plain", "behind", *["rotated"] * (few or turned)]):
            settings += [one(task, p.first_seed + i, "final", final(ways, few))] if ways else []
    last = runs.map(train, settings, "tasks", data=data)
    once = last.way.map(lambda way: best[CHOICE[way]][1])
    last["stage"] = np.where(last.epochs == once, "final", "doubled")
    return pd.concat([search, last], ignore_index=True)


def chosen(search: pd.DataFrame, way: str) -> tuple[float, int]:
    """Rate and number of epochs with the best mean score over tasks and seeds; of equal ones the first."""
    means = search[search.way == way].groupby(["rate", "epochs"]).score.mean().reset_index()
    best = means.sort_values("score", ascending=False, kind="stable").iloc[0]
    return float(best.rate), int(best.epochs)


def overview(p: Params) -> pd.DataFrame:
    """One line per task: samples trained on and scored with the first seed, the share of the larger class among the scored."""
    lines = {}
    for name, task in glue.load_tasks().items():
        known, scored = split(task, p.first_seed, "final")
        known, scored = known[: p.singles if task.second is None else p.pairs], scored[: p.tested or None]
        larger = 100 * max(np.bincount(task.labels[scored]) / len(scored))
        lines[name] = {"training": len(known), "scored": len(scored), "larger class among the scored (%)": larger}
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("task")
