"""Sentence classification: the six sets of the paper, GloVe vectors, splits, and the sentences that sets share.

Wu, Zhang and Ré, "Understanding and improving information transfer in multi-task learning" (2020), Table 1 and
Appendix B.1. Canonical arrays of a set of n sentences, the same from every layout:
`texts` (bytes,) uint8, the sentences as UTF-8 joined by line feeds; `labels` (n,) int64; `split` (n,) int64, the
official split (0 train, 1 valid, 2 test) or -1 where there is none.

Our reading: "SST" in Table 1 is the two-label set (`sst_binary`), as in Lei et al. (2018), whose LSTM the paper uses.
"""

from __future__ import annotations

import functools
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlrepro import data
from mtlrepro.data.places import Located, arrays_sha256, check_arrays, find, locate
from mtlrepro.data.schema import Tier
from mtlrepro.errors import BadValue, DataCorrupt, UnknownName
from mtlrepro.files import decoded, gunzip

Ints = NDArray[np.int64]
SPLITS = ("train", "valid", "test")
TASKS = ("mr", "subj", "cr", "mpqa", "trec", "sst")
ALIASES = {"sst": "sst_binary"}
# The tasks in the order of Table 1, by the names that the paper prints.
TITLES = {"sst": "SST", "mr": "MR", "cr": "CR", "subj": "SUBJ", "mpqa": "MPQA", "trec": "TREC"}
CLASSES: dict[str, tuple[str, ...]] = {
    "mr": ("negative", "positive"),
    "subj": ("subjective", "objective"),
    "cr": ("negative", "positive"),
    "mpqa": ("negative", "positive"),
    "trec": ("DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM"),
    "sst_binary": ("negative", "positive"),
    "sst_fine": ("very negative", "negative", "neutral", "positive", "very positive"),
}
_ENCODING = {"mr": "cp1252", "subj": "cp1252", "trec": "latin-1"}
_LARGEST = 8 * 2**20  # no file of these sets is above 1.4 MB when unpacked


@dataclass(frozen=True, eq=False)
class SentenceSet:
    """n labelled sentences.

    `labels` (n,) int64 in 0 ... len(classes) - 1; `official` (n,) int64, the official split (0 train, 1 valid, 2 test)
    or -1. `sha256` is over the canonical arrays. Arrays are read-only.
    """

    name: str
    texts: tuple[str, ...]
    labels: Ints
    official: Ints
    classes: tuple[str, ...]
    sha256: str
    tier: Tier
    source: Literal["official", "mirror", "embedded"]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def has_official_split(self) -> bool:
        return bool((self.official == 2).any())

    @property
    def is_real(self) -> bool:
        return self.tier != "synthetic"


def canonical(texts: Sequence[str], labels: Sequence[int] | Ints, split: Sequence[int] | Ints) -> dict[str, NDArray[np.generic]]:
    """The canonical arrays of a set of sentences (see the module's text)."""
    joined = np.frombuffer("\n".join(texts).encode(), np.uint8)
    return {"texts": joined, "labels": np.asarray(labels, np.int64), "split": np.asarray(split, np.int64)}


def _label_lines(plain: str) -> Iterator[list[str]]:
    """[label, text] of lines `LABEL text`. Split at line feeds only: cp1252 has bytes that Python would take for line ends."""
    for line in plain.removesuffix("\n").split("\n"):
        label, _, text = line.partition(" ")
        yield [label, text.strip(), ""]


def _tab_lines(plain: str, where: Path) -> Iterator[list[str]]:
    """[label, text, split] of lines below a header that names their columns."""
    head, *lines = plain.removesuffix("\n").split("\n")
    columns = head.split("\t")
    for number, line in enumerate(lines, start=2):
        row = dict(zip(columns, fields := line.split("\t"), strict=False))
        if len(fields) != len(columns) or not {"label", "text"} <= row.keys():
            raise DataCorrupt(f"{where}, line {number}: not a row of the columns {', '.join(columns)}.")
        yield [row["label"], row["text"], row.get("split", "")]


def _split_of(file: str) -> int:
    """Official split from a file's name, e.g. TREC.test.all or stsa.fine.dev."""
    return next((i for i, part in enumerate(("train", "dev", "test")) if f".{part}" in file), -1)


def decode(place: Located) -> dict[str, NDArray[np.generic]]:
    """Canonical arrays of a sentence set from any layout of its manifest. Raises DataMissing, DataCorrupt (file and line)."""
    texts: list[str] = []
    labels: list[int] = []
    split: list[int] = []
    name = place.manifest.name
    known = {str(label): label for label in range(len(CLASSES[name]))}
    splits = {"": -1, "train": 0, "valid": 1, "dev": 1, "test": 2}
    for file in place.files:
        content, where = place.read(file), place.folder / file
        table = file.endswith(".tsv")
        content = gunzip(content, where, _LARGEST) if file.endswith(".gz") else content
        plain = decoded(content, where, "utf-8" if table else _ENCODING.get(name, "utf-8"))
        for number, (label, text, part) in enumerate(_tab_lines(plain, where) if table else _label_lines(plain), start=1 + table):
            if label not in known or part not in splits:
                raise DataCorrupt(f"{where}, line {number}: {label!r} is no label of {name}, or {part!r} no part of it.")
            texts.append(text)
            labels.append(known[label])
            split.append(splits[part] if table else _split_of(file))
    return canonical(texts, labels, split)


def _frozen(array: NDArray[np.generic]) -> Ints:
    array.setflags(write=False)
    return array.astype(np.int64, copy=False)


def load_sentences(name: str, mirror: Path | None = None) -> SentenceSet:
    """A sentence set: mr, subj, cr, mpqa, trec, sst_binary, sst_fine, or sst (our reading: sst_binary).

    Raises UnknownName, DataMissing (with what to do), DataCorrupt (with expected and found sha256).
    """
    key = ALIASES.get(name, name)
    if key not in CLASSES:
        raise UnknownName("sentence set", name, [*CLASSES, *ALIASES])
    place = locate(key, mirror)
    arrays = decode(place)
    digest = check_arrays(place, arrays)
    texts = tuple(arrays["texts"].tobytes().decode().split("\n"))
    labels, split = _frozen(arrays["labels"]), _frozen(arrays["split"])
    return SentenceSet(key, texts, labels, split, CLASSES[key], digest, place.manifest.tier, place.source)


def sentence_sets(
    names: Sequence[str] = TASKS,
    prefer: Literal["real", "synthetic"] = "real",
    mirror: Path | None = None,
    seed: int = 0,
) -> dict[str, SentenceSet]:
    """The sets of a joint training by task name: the real ones, or all synthetic ones where any real one is missing.

    Real and synthetic sets are never mixed: test `all(s.is_real for s in sets.values())`. Corrupt data are an error,
    not a reason to fall back. Raises DataCorrupt, UnknownName.
    """
    keys = [ALIASES.get(name, name) for name in names]
    if prefer == "real" and all(data.which(key, mirror) == key for key in keys):
        return {name: load_sentences(name, mirror) for name in names}
    return synthetic_sentences(seed, names)


# --- words ------------------------------------------------------------------------------------------------------------

_CLITIC = re.compile(r"^(.+?)(n't|'(?:s|re|ve|ll|d|m))$")
_PIECES = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")


def tokenize(text: str, vocabulary: Mapping[str, int] | frozenset[str] | None = None) -> list[str]:
    """Words of a sentence: lower-case, split at blanks, n't 's 're 've 'll 'd 'm split off.

    The sets come tokenised, so this is nearly all there is to do. With a `vocabulary`, a word that is not in it is
    split further, at hyphens and other marks, if all the pieces are in it ("ill-conceived" stays one word where GloVe
    knows it); the share of words then covered by GloVe is what `coverage` measures.
    """
    words: list[str] = []
    for word in text.lower().split():
        if vocabulary is not None and word in vocabulary:
            words.append(word)
            continue
        clitic = _CLITIC.match(word)
        parts = [clitic[1], clitic[2]] if clitic else [word]
        for part in parts:
            pieces = _PIECES.findall(part) if vocabulary is not None and part not in vocabulary else [part]
            whole = vocabulary is None or not pieces or not all(piece in vocabulary for piece in pieces)
            words.extend([part] if whole else pieces)
    return words


def coverage(sentences: SentenceSet, vectors: WordVectors) -> tuple[float, float]:
    """Share of a set's running words, and of its distinct words, that have a vector. Both in [0, 1]."""
    counts = Counter(word for text in sentences.texts for word in tokenize(text, vectors.index))
    known = {word: n for word, n in counts.items() if word in vectors.index}
    return sum(known.values()) / max(1, counts.total()), len(known) / max(1, len(counts))


@dataclass(frozen=True, eq=False)
class WordVectors:
    """v word vectors: `words`, most frequent first, and `matrix` (v, dim) float32. Unpacks into these two."""

    words: tuple[str, ...]
    matrix: NDArray[np.float32]
    sha256: str
    tier: Tier
    source: Literal["official", "mirror", "embedded"]

    def __iter__(self) -> Iterator[tuple[str, ...] | NDArray[np.float32]]:
        yield self.words
        yield self.matrix

    @functools.cached_property
    def index(self) -> dict[str, int]:
        """Row of each word."""
        return {word: i for i, word in enumerate(self.words)}


def _official_glove(file: Path, dim: int) -> tuple[list[str], NDArray[np.float16]]:
    """Words and vectors of an official glove.6B.*.txt, rounded to float16. A word may hold blanks, as in other GloVe files.

    Raises DataCorrupt, with the line.
    """
    words, rows = [], []
    with file.open("rb") as lines, np.errstate(over="ignore"):
        for number, line in enumerate(lines, start=1):
            try:
                word, *values = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip().rsplit(" ", dim)
                row = np.array(values, np.float32).astype(np.float16)
            except ValueError:  # as bytes that are no UTF-8 are
                row = np.empty(0, np.float16)
            if row.shape != (dim,) or not np.isfinite(row).all():
                raise DataCorrupt(f"{file}, line {number}: not a word and {dim} numbers; is it a header, or another file?")
            words.append(word)
            rows.append(row)
    if not words:
        raise DataCorrupt(f"{file} is empty.")
    return words, np.stack(rows)


def load_glove(dim: Literal[50, 100, 200, 300] = 50, mirror: Path | None = None) -> WordVectors:
    """GloVe 6B vectors, float32, for every word of the files at hand (400,000 officially; a mirror may hold fewer).

    Vectors are rounded to float16 (the largest change is 0.002), because that is what a reduced mirror holds, so that a
    result does not depend on where the vectors came from. Raises DataMissing, DataCorrupt, BadValue.
    """
    if dim not in (50, 100, 200, 300):
        raise BadValue(f"GloVe 6B has 50, 100, 200 or 300 dimensions, not {dim}.")
    place = locate(f"glove_{dim}d", mirror)
    words: Sequence[str]
    if place.layout == "official":
        words, half = _official_glove(place.check(f"glove.6B.{dim}d.txt"), dim)
    else:
        words = place.read("vocab.txt").decode().removesuffix("\n").split("\n")
        half = np.load(io.BytesIO(place.read("glove6B_50d_f16.npy")), allow_pickle=False)
    digest = arrays_sha256(_as_arrays(words, half))
    return WordVectors(tuple(words), half.astype(np.float32), digest, place.manifest.tier, place.source)


def _as_arrays(words: Sequence[str], half: NDArray[np.float16]) -> dict[str, NDArray[Any]]:
    return {"words": np.frombuffer("\n".join(words).encode(), np.uint8), "vectors": half}


def word_vectors(
    sets: Mapping[str, SentenceSet], dim: Literal[50, 100, 200, 300] = 50, mirror: Path | None = None, seed: int = 0
) -> WordVectors:
    """Vectors of the words of these sets: GloVe for real sets, synthetic for synthetic ones or where GloVe is missing.

    Only words that occur in the sets are kept, in GloVe's order of frequency: the same array from every layout of
    GloVe. For the six sets of the paper it is compared with the manifest's sha256. Raises DataCorrupt.
    """
    if not all(s.is_real for s in sets.values()) or find(f"glove_{dim}d", mirror) is None:
        return synthetic_vectors(sets, dim, seed)
    whole = load_glove(dim, mirror)
    occurring = {word for s in sets.values() for text in s.texts for word in tokenize(text, whole.index)}
    rows = [row for row, word in enumerate(whole.words) if word in occurring]
    words, matrix = tuple(whole.words[row] for row in rows), whole.matrix[rows]
    arrays = _as_arrays(words, matrix.astype(np.float16))
    known = set(sets) == set(TASKS)
    digest = check_arrays(locate(f"glove_{dim}d", mirror), arrays) if known else arrays_sha256(arrays)
    return replace(whole, words=words, matrix=matrix, sha256=digest)


# --- splits -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the three parts of a set, each (n,) int64."""

    train: Ints
    valid: Ints
    test: Ints

    def parts(self) -> dict[str, Ints]:
        return {"train": self.train, "valid": self.valid, "test": self.test}


def split(sentences: SentenceSet, seed: int, how: Literal["auto", "random", "official"] = "auto") -> Split:
    """Split a set into training, validation and test rows.

    'random': 80/10/10, drawn by `seed` (the paper, Appendix B.3, says this of all sets). 'official': the official test
    set; where no official validation set exists (TREC) a random tenth of the training rows, drawn by `seed`.
    'auto': official where there is one, else random. Raises BadValue.
    """
    if how not in ("auto", "random", "official"):
        raise BadValue(f"how is 'auto', 'random' or 'official', not {how!r}.")
    if how == "official" and not sentences.has_official_split:
        raise BadValue(f"{sentences.name} has no official split: use how='random' or how='auto'.")
    generator = np.random.default_rng(seed)
    if how == "random" or not sentences.has_official_split:
        order = generator.permutation(len(sentences)).astype(np.int64)
        tenth = len(sentences) // 10
        return Split(order[2 * tenth :], order[tenth : 2 * tenth], order[:tenth])
    rows = [np.flatnonzero(sentences.official == part).astype(np.int64) for part in range(3)]
    if len(rows[1]) == 0:
        order = generator.permutation(rows[0])
        tenth = len(order) // 10
        rows[:2] = [order[tenth:], order[:tenth]]
    return Split(*rows)


# --- sentences that stand in more than one set ------------------------------------------------------------------------


def normal_form(text: str) -> str:
    """What two copies of a sentence have in common: lower-case, only a to z and 0 to 9 kept."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _texts(sentences: SentenceSet | Sequence[str]) -> Sequence[str]:
    return sentences.texts if isinstance(sentences, SentenceSet) else sentences


def shared_sentences(sets: Mapping[str, SentenceSet | Sequence[str]]) -> pd.DataFrame:
    """How many distinct sentences each pair of sets shares (diagonal: how many distinct ones each has)."""
    keys = {name: {normal_form(t) for t in _texts(s)} for name, s in sets.items()}
    return pd.DataFrame({a: {b: len(keys[a] & keys[b]) for b in keys} for a in keys}).loc[list(keys), list(keys)]


def drop_leaks(
    train_sets: Mapping[str, SentenceSet | Sequence[str]], test_sets: Mapping[str, SentenceSet | Sequence[str]]
) -> dict[str, Ints]:
    """For each training set, the row numbers whose sentence stands in no test set of any task.

    Sentences are compared by `normal_form`. Keys need not agree between the two arguments.
    """
    tested = {normal_form(t) for s in test_sets.values() for t in _texts(s)}
    return {
        name: np.array([i for i, t in enumerate(_texts(s)) if normal_form(t) not in tested], np.int64)
        for name, s in train_sets.items()
    }


def without_leaks(sets: Mapping[str, SentenceSet], splits: Mapping[str, Split]) -> dict[str, Split]:
    """The splits of a joint training without leaks: no test sentence in any training or validation part, and no
    validation sentence in any training part, of any task. Test parts stay as they are."""

    def texts(part: Callable[[Split], Ints]) -> dict[str, list[str]]:
        return {name: [sets[name].texts[i] for i in part(s)] for name, s in splits.items()}

    test = texts(lambda s: s.test)
    valid_rows = drop_leaks(texts(lambda s: s.valid), test)
    clean = {name: replace(s, valid=s.valid[valid_rows[name]]) for name, s in splits.items()}
    # The whole validation parts count here, also rows just dropped: those are test sentences, dropped anyway.
    train_rows = drop_leaks(
        texts(lambda s: s.train),
        {f"{n}/{k}": t for k, d in (("test", test), ("valid", texts(lambda s: s.valid))) for n, t in d.items()},
    )
    return {name: replace(clean[name], train=s.train[train_rows[name]]) for name, s in splits.items()}


# --- synthetic text, where no data are at hand ------------------------------------------------------------------------

_POSITIVE = [
    "good",
    "great",
    "moving",
    "funny",
    "clever",
    "warm",
    "superb",
    "fresh",
    "elegant",
    "honest",
    "sharp",
    "lovely",
    "brilliant",
    "gentle",
    "vivid",
    "rich",
]
_NEGATIVE = [
    "bad",
    "dull",
    "awful",
    "boring",
    "weak",
    "stale",
    "clumsy",
    "cold",
    "empty",
    "tedious",
    "lazy",
    "broken",
    "noisy",
    "poor",
    "flat",
    "harsh",
]
_OPINION = ["feels", "seems", "somehow", "truly", "almost", "hardly", "perhaps", "frankly"]
_PLOT = ["discovers", "travels", "marries", "escapes", "hires", "inherits", "betrays", "rescues"]
_QUESTIONS: tuple[tuple[str, ...], ...] = (
    ("why", "define", "explain"),
    ("what", "which", "name"),
    ("abbreviation", "acronym", "stands"),
    ("who", "whom", "president"),
    ("where", "city", "country"),
    ("when", "many", "year"),
)
_OPPOSITE = {**dict(zip(_POSITIVE, _NEGATIVE, strict=True)), **dict(zip(_NEGATIVE, _POSITIVE, strict=True))}
_SYNTHETIC_ROWS = {"mr": 1200, "subj": 1200, "cr": 500, "mpqa": 1200, "trec": 700, "sst_binary": 1100, "sst_fine": 1300}


def _fillers(count: int = 300) -> list[str]:
    """Neutral words, pronounceable and the same in every draw."""
    pairs = [onset + nucleus for onset in "bdfgklmnprstvz" for nucleus in "aeiou"]
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(pairs, 2 + i % 2)) for i in range(2 * count)]
    return list(dict.fromkeys(words))[:count]


def _polar(label: int, levels: int, generator: np.random.Generator) -> list[str]:
    """Three words whose share of positive ones grows with the label; one in eight is turned around."""
    share = label / (levels - 1)
    words = [str(generator.choice(_POSITIVE if generator.random() < share else _NEGATIVE)) for _ in range(3)]
    return [_OPPOSITE[w] if generator.random() < 1 / 8 else w for w in words]


def synthetic_sentences(seed: int, names: Sequence[str] = TASKS, rows: Mapping[str, int] | None = None) -> dict[str, SentenceSet]:
    """Small synthetic sets with the names and numbers of classes of the real ones, for use where no data are at hand.

    Sentiment tasks share planted positive and negative words, with one in eight turned around; SUBJ is known by words
    of opinion against words of plot, TREC by words of question; all share the same neutral words. A third of MR's
    sentences stand again in SST, with MR's label, as the real ones do. `rows`: how many, by set.
    """
    keys = {name: ALIASES.get(name, name) for name in names}
    for name, key in keys.items():
        if key not in CLASSES:
            raise UnknownName("sentence set", name, [*CLASSES, *ALIASES])
    fillers = np.array(_fillers())
    weights = 1 / np.arange(1, len(fillers) + 1)
    weights /= weights.sum()
    reviews = _draw("mr", (rows or {}).get("mr", _SYNTHETIC_ROWS["mr"]), seed, fillers, weights)
    sets = {}
    for name, key in keys.items():
        count = (rows or {}).get(name, (rows or {}).get(key, _SYNTHETIC_ROWS[key]))
        texts, labels = reviews if key == "mr" else _draw(key, count, seed, fillers, weights)
        if key.startswith("sst"):
            for i in range(min(len(reviews[0]) // 3, count // 2)):
                texts[i] = reviews[0][i]
                labels[i] = reviews[1][i] * (len(CLASSES[key]) - 1)
        official = np.full(count, -1, np.int64)
        if key == "trec" or key.startswith("sst"):
            where = np.random.default_rng([seed, 7]).random(count)
            official = np.where(where < 0.8, 0, np.where(where < 0.9, 1 if key != "trec" else 0, 2)).astype(np.int64)
        arrays = canonical(texts, labels, official)
        digest = arrays_sha256(arrays)
        labelled = _frozen(arrays["labels"])
        sets[name] = SentenceSet(key, tuple(texts), labelled, _frozen(official), CLASSES[key], digest, "synthetic", "embedded")
    return sets


def _draw(
    key: str, count: int, seed: int, fillers: NDArray[np.str_], weights: NDArray[np.float64]
) -> tuple[list[str], list[int]]:
    generator = np.random.default_rng([seed, *key.encode()])
    levels = len(CLASSES[key])
    texts, labels = [], []
    for _ in range(count):
        label = int(generator.integers(levels))
        words = [str(w) for w in generator.choice(fillers, int(generator.integers(5, 15)), p=weights)]
        if key == "trec":
            # One question in eight has the words of another type.
            shown = label if generator.random() > 1 / 8 else int(generator.integers(levels))
            planted = [str(generator.choice(_QUESTIONS[shown]))]
        elif key == "subj":
            shown = label if generator.random() > 1 / 8 else 1 - label
            planted = [str(w) for w in generator.choice(_PLOT if shown else _OPINION, 2)]
            planted.append(str(generator.choice(_POSITIVE + _NEGATIVE)) if label == 0 else str(generator.choice(_PLOT)))
        else:
            planted = _polar(label, levels, generator)
        for word in planted:
            words.insert(int(generator.integers(len(words) + 1)), word)
        texts.append(" ".join(words))
        labels.append(label)
    return texts, labels


def synthetic_vectors(sets: Mapping[str, SentenceSet], dim: int = 50, seed: int = 0) -> WordVectors:
    """Gaussian vectors (v, dim) for the words of the sets, planted words leaning to a direction of their kind."""
    counts = Counter(word for s in sets.values() for text in s.texts for word in tokenize(text))
    words = tuple(word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    generator = np.random.default_rng([seed, dim])
    directions = generator.standard_normal((3 + len(_QUESTIONS), dim))
    matrix = generator.standard_normal((len(words), dim))
    kinds: list[tuple[Sequence[str], int, float]] = [
        (_POSITIVE, 0, 1.0),
        (_NEGATIVE, 0, -1.0),
        (_OPINION, 1, 1.0),
        (_PLOT, 2, 1.0),
    ]
    kinds += [(group, 3 + i, 1.0) for i, group in enumerate(_QUESTIONS)]
    index = {word: i for i, word in enumerate(words)}
    for group, direction, sign in kinds:
        for word in group:
            if word in index:
                matrix[index[word]] += sign * directions[direction]
    # GloVe's 50-dimensional vectors have entries of about this size.
    small = (0.4 * matrix).astype(np.float32)
    digest = arrays_sha256({"words": np.frombuffer("\n".join(words).encode(), np.uint8), "vectors": small})
    return WordVectors(words, small, digest, "synthetic", "embedded")
