"""Sentence sets: every layout gives the same arrays, damage is refused, splits cover, no test sentence is trained on."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlrepro import paths
from mtlrepro.data import manifest, places, schema
from mtlrepro.errors import BadValue, DataCorrupt, DataMissing, UnknownName
from mtlrepro.files import sha256_of
from mtlrepro.papers.transfer.data import text

LAYOUTS = ("official", "original_gz", "tsv")


def _set(texts: list[str], official: list[int] | None = None, name: str = "mr") -> text.SentenceSet:
    labels = np.zeros(len(texts), np.int64)
    split = np.array(official if official is not None else [-1] * len(texts), np.int64)
    return text.SentenceSet(name, tuple(texts), labels, split, ("a", "b"), "", "synthetic", "embedded")


@pytest.mark.parametrize("name", ["mr", "trec", "sst_fine"])
def test_every_layout_gives_the_same_arrays(tiny_sentences: Any, name: str) -> None:
    loaded = [text.load_sentences(name, mirror=tiny_sentences.folders[layout]) for layout in LAYOUTS]
    assert len({s.sha256 for s in loaded}) == 1
    assert len({s.texts for s in loaded}) == 1
    for other in loaded[1:]:
        assert (other.labels == loaded[0].labels).all()
        assert (other.official == loaded[0].official).all()


def test_texts_are_decoded_and_stripped_and_empty_ones_kept(tiny_sentences: Any) -> None:
    loaded = text.load_sentences("mr", mirror=tiny_sentences.folders["official"])
    assert loaded.texts == ("dull \u2026 and empty", "a caf\u00e9 scene , lovely", "", "it 's weak")
    assert loaded.labels.tolist() == [0, 1, 1, 0]
    assert not loaded.has_official_split
    assert not loaded.labels.flags.writeable
    assert text.load_sentences("trec", mirror=tiny_sentences.folders["tsv"]).official.tolist() == [0, 0, 2]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_a_damaged_file_is_refused_by_name_with_both_hashes(tiny_sentences: Any, layout: str, damage: str) -> None:
    folder = tiny_sentences.folders[layout]
    file = next(f for f in folder.iterdir() if "rt-polarity" in f.name or f.name == "mr.tsv")
    expected = sha256_of(file)
    content = bytearray(file.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    else:
        del content[-1:]
    file.write_bytes(bytes(content))
    for action in (
        lambda: text.load_sentences("mr", mirror=folder),
        lambda: manifest.verify("mr", folder),
        lambda: manifest.fetch("mr", folder),
        # A corrupt set is never replaced by the synthetic one.
        lambda: text.sentence_sets(("mr",), mirror=folder),
    ):
        with pytest.raises(DataCorrupt) as error:
            action()
        assert str(file) in str(error.value)
        assert expected in str(error.value)
        assert sha256_of(file) in str(error.value)


def test_arrays_that_decode_differently_are_refused_even_with_good_files(tiny_sentences: Any, manifest_folder: Path) -> None:
    """The canonical hash is a second net, below the files' own."""
    file = manifest_folder / "mr.yaml"
    labels = schema.get("mr").array("labels")
    assert labels is not None
    file.write_text(file.read_text().replace(labels.sha256, "a" * 64))
    with pytest.raises(DataCorrupt, match="labels of mr"):
        text.load_sentences("mr", mirror=tiny_sentences.folders["tsv"])


def test_missing_data_fall_back_to_synthetic_all_or_none(tiny_sentences: Any) -> None:
    mirror = tiny_sentences.folders["official"]
    assert all(s.is_real for s in text.sentence_sets(("mr", "trec"), mirror=mirror).values())
    shutil.move(mirror / "TREC.test.all", mirror / "gone")
    sets = text.sentence_sets(("mr", "trec"), mirror=mirror)
    assert not any(s.is_real for s in sets.values())
    assert {s.tier for s in sets.values()} == {"synthetic"}
    with pytest.raises(DataMissing):
        text.load_sentences("trec", mirror=mirror)


def test_names_are_checked(tiny_sentences: Any) -> None:
    with pytest.raises(UnknownName, match="did you mean 'sst'"):
        text.load_sentences("sstt")
    with pytest.raises(UnknownName):
        text.synthetic_sentences(0, ["nosuch"])


def test_glove_official_and_reduced_give_the_same_vectors_for_the_words_of_the_sets(tiny_glove: Any) -> None:
    sets = {"a": replace(_set(["the dull", "it the nothing"]), tier="paper's data", source="official")}
    official, reduced = (text.word_vectors(sets, 50, mirror=tiny_glove.folders[k]) for k in ("official", "float16"))
    assert official.sha256 == reduced.sha256
    words, matrix = official
    assert words == reduced.words == ("the", "it", "dull")
    assert matrix.dtype == np.float32
    assert (matrix == reduced.matrix).all()
    with pytest.raises(BadValue):
        text.load_glove(51)  # type: ignore[arg-type]


def _glove(tmp_path: Path, content: bytes) -> tuple[list[str], np.ndarray]:
    file = tmp_path / "glove.6B.2d.txt"
    file.write_bytes(content)
    return text._official_glove(file, 2)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"2 2\nthe 1 2\n", 1),
        (b"the 1 2\nit 1\n", 2),
        (b"the 1 2\nit 1 nan\n", 2),
        (b"the 1 2\nit 1 1e9\n", 2),
        (b"the 1 2\n\nit 1 2\n", 2),
        (b"the 1,0 2,0\n", 1),
        ("the 1 2\ncafé 1 2\n".encode("latin-1"), 2),
        ("the 1 2\n".encode("utf-16"), 1),
    ],
)
def test_an_odd_line_of_glove_is_refused(tmp_path: Path, content: bytes, line: int) -> None:
    with pytest.raises(DataCorrupt, match=rf"glove\.6B\.2d\.txt, line {line}: not a word and 2 numbers"):
        _glove(tmp_path, content)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n"), min_size=1), min_size=1), st.booleans()
)
def test_words_of_glove_may_hold_blanks_and_accents(tmp_path_factory: Any, words: list[str], windows: bool) -> None:
    content = "".join(f"{word} 1.5 -2\n" for word in ["the", *words])
    content = "\ufeff" + content.replace("\n", "\r\n") if windows else content
    read, values = _glove(tmp_path_factory.mktemp("glove"), content.encode())
    assert read == ["the", *words]
    assert (values == np.array([1.5, -2])).all()


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [("mr.tsv", "7\tgood", "line 6: '7' is no label of mr"), ("mr.tsv", "1", "line 6: not a row of the columns label, text"),
     ("trec.tsv", "tes\t1\tX:y\twho", "line 5: .*'tes' no part of it"), ("mr.tsv", "nan\tgood", "line 6: 'nan' is no label")],
)  # fmt: skip
def test_an_odd_line_of_a_sentence_set_is_refused(tiny_sentences: Any, name: str, line: str, message: str) -> None:
    folder, key = tiny_sentences.folders["tsv"], name.removesuffix(".tsv")
    content = (folder / name).read_bytes() + line.encode() + b"\n"
    place = SimpleNamespace(manifest=schema.get(key), files=[name], folder=folder, read=lambda file: content)
    with pytest.raises(DataCorrupt, match=rf"{name}, {message}"):
        text.decode(place)  # type: ignore[arg-type]


def test_keeping_only_the_words_of_the_sets_changes_no_token(tiny_glove: Any) -> None:
    sentences = ["the dull-it", "don't it-qqq"]
    whole = text.load_glove(50, mirror=tiny_glove.folders["official"])
    sets = {"a": replace(_set(sentences), tier="paper's data", source="official")}
    kept = text.word_vectors(sets, 50, tiny_glove.folders["official"])
    for sentence in sentences:
        assert text.tokenize(sentence, kept.index) == text.tokenize(sentence, whole.index)


def test_words_are_split_so_that_vectors_are_found(tiny_glove: Any) -> None:
    vectors = text.load_glove(50, mirror=tiny_glove.folders["float16"])
    assert text.tokenize("It didn't , THEY'RE") == ["it", "did", "n't", ",", "they", "'re"]
    assert text.tokenize("the-dull don't x-ray", vectors.index) == ["the-dull", "do", "n't", "x-ray"]
    assert text.tokenize("", vectors.index) == []
    running, distinct = text.coverage(_set(["the dull", "the x"]), vectors)
    assert running == 3 / 4
    assert distinct == 2 / 3


@given(
    rows=st.integers(1, 300),
    seed=st.integers(0, 2**32 - 1),
    how=st.sampled_from(["random", "auto"]),
    valid=st.booleans(),
    data=st.data(),
)
def test_a_split_is_disjoint_and_covers_every_row(rows: int, seed: int, how: Any, valid: bool, data: st.DataObject) -> None:
    kinds = [0, 1, 2] if valid else [0, 2]
    official = data.draw(st.one_of(st.none(), st.lists(st.sampled_from(kinds), min_size=rows, max_size=rows)))
    sentences = _set([str(i) for i in range(rows)], official)
    parts = text.split(sentences, seed, how)
    joined = np.concatenate([parts.train, parts.valid, parts.test])
    assert sorted(joined.tolist()) == list(range(rows))
    again = text.split(sentences, seed, how)
    assert all((a == b).all() for a, b in zip(parts.parts().values(), again.parts().values(), strict=True))
    if how == "random":
        assert len(parts.test) == len(parts.valid) == rows // 10
    elif sentences.has_official_split:
        assert set(parts.test) == set(np.flatnonzero(sentences.official == 2))


def test_official_split_needs_one() -> None:
    with pytest.raises(BadValue, match="no official split"):
        text.split(_set(["a", "b"]), 0, "official")


_sentence = st.text(alphabet="abAB1 .'", max_size=4)
_sets = st.dictionaries(st.sampled_from("pqr"), st.lists(_sentence, min_size=1, max_size=25), min_size=1)


@given(train=_sets, test=_sets)
def test_no_test_sentence_is_left_in_any_training_set(train: dict[str, list[str]], test: dict[str, list[str]]) -> None:
    """And nothing else is dropped."""
    kept = text.drop_leaks(train, test)
    tested = {text.normal_form(t) for texts in test.values() for t in texts}
    for name, texts in train.items():
        left = {text.normal_form(texts[i]) for i in kept[name]}
        assert not left & tested
        dropped = set(range(len(texts))) - set(kept[name].tolist())
        assert all(text.normal_form(texts[i]) in tested for i in dropped)


@given(content=_sets, seed=st.integers(0, 1000))
def test_clean_splits_share_no_sentence_between_parts_of_any_task(content: dict[str, list[str]], seed: int) -> None:
    sets = {name: _set(texts) for name, texts in content.items()}
    raw = {name: text.split(s, seed) for name, s in sets.items()}
    clean = text.without_leaks(sets, raw)

    def forms(part: str) -> set[str]:
        return {text.normal_form(sets[n].texts[i]) for n, s in clean.items() for i in s.parts()[part]}

    assert not forms("test") & (forms("train") | forms("valid"))
    assert not forms("valid") & forms("train")
    assert all((clean[n].test == raw[n].test).all() for n in sets)


def test_shared_sentences_are_counted_in_their_normal_form() -> None:
    table = text.shared_sentences({"p": ["It's good!", "its good", "b"], "q": ["ITS GOOD", "c"]})
    assert table.loc["p", "q"] == table.loc["q", "p"] == 1
    assert table.loc["p", "p"] == 2


def test_synthetic_sets_follow_their_seed_and_can_be_learned() -> None:
    """Planted words tell the label: a count of words beats the largest class by far, without being perfect."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    sets, again, other = (text.synthetic_sentences(seed) for seed in (0, 0, 1))
    assert list(sets) == list(text.TASKS)
    for name, s in sets.items():
        assert s.sha256 == again[name].sha256 != other[name].sha256
        assert len(s.classes) == len(set(s.labels.tolist()))
        parts = text.split(s, 0)
        counts = CountVectorizer().fit_transform(s.texts)
        model = LogisticRegression(max_iter=200).fit(counts[parts.train], s.labels[parts.train])
        accuracy = model.score(counts[parts.test], s.labels[parts.test])
        assert 1 / len(s.classes) + 0.2 < accuracy < 1, name
    shared = text.shared_sentences(sets)
    assert shared.loc["mr", "sst"] > 100
    vectors = text.word_vectors(sets)
    assert vectors.tier == "synthetic"
    assert text.coverage(sets["mr"], vectors) == (1, 1)


def test_the_real_sets_are_those_of_the_literature() -> None:
    """Sizes, label counts and shared sentences of the real sets, where a mirror has them."""
    if paths.mirror() is None or not all(places.find(text.ALIASES.get(n, n)) for n in text.TASKS):
        pytest.skip("MTLREPRO_MIRROR is not set or lacks the sentence sets")
    sets = {name: text.load_sentences(name) for name in (*text.TASKS, "sst_fine")}
    sizes = {"mr": 10_662, "subj": 10_000, "cr": 3_775, "mpqa": 10_606, "trec": 5_952, "sst": 9_613, "sst_fine": 11_855}
    assert {name: len(s) for name, s in sets.items()} == sizes
    assert np.bincount(sets["trec"].labels).tolist() == [1300, 1344, 95, 1288, 916, 1009]
    shared = text.shared_sentences(sets)
    assert (shared.loc["mr", "sst_fine"], shared.loc["mr", "subj"], shared.loc["subj", "sst_fine"]) == (9_077, 4_179, 3_472)
    if places.find("glove_50d"):
        vectors = text.word_vectors({name: sets[name] for name in text.TASKS})  # compared with the manifest here
        assert all(text.coverage(s, vectors)[0] > 0.99 for s in sets.values())


def test_the_layouts_of_the_real_sets_agree(tmp_path: Path) -> None:
    """Plain official files, gzipped ones and tables give equal arrays."""
    folder = paths.mirror()
    if folder is None or not (folder / "text/sentcls/tsv").is_dir() or not (folder / "text/sentcls/original").is_dir():
        pytest.skip("MTLREPRO_MIRROR is not set or does not have both layouts")
    for packed in (folder / "text/sentcls/original").glob("*.gz"):
        (tmp_path / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    for name in text.CLASSES:
        assert manifest.status(name, tmp_path).layout == "official"
        places = (tmp_path, folder / "text/sentcls/tsv", folder / "text/sentcls/original")
        assert len({text.load_sentences(name, place).sha256 for place in places}) == 1, name
