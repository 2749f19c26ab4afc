"""Tiny sentence sets and word vectors in their true layouts."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_sets import Layouts, listed_arrays, sha, write_layout

from mtlrepro.papers.transfer.data import text


@pytest.fixture
def tiny_sentences(tmp_path: Path, write_manifest: Callable[..., Path]) -> Layouts:
    """mr, trec and sst_fine in the plain official files, gzipped, and as tab-separated tables."""
    root = tmp_path / "sentences"
    # 0x85 is an ellipsis in Windows-1252, where Latin-1 has a line end; é is not ASCII; one text is empty.
    reviews = [(0, "dull \u2026 and empty"), (1, "a caf\u00e9 scene , lovely"), (1, ""), (0, "it 's weak")]
    questions = [(3, "Who wrote it ?", 0), (5, "How many ?", 0), (4, "Where is it ?", 2)]
    phrases = [(4, "superb", 0), (0, "awful", 1), (2, "a br\u00fbl\u00e9e", 2)]
    plain = {
        "mr": {"rt-polarity.all": "".join(f"{y} {t} \n" for y, t in reviews).encode("cp1252")},
        "trec": {
            f"TREC.{p}.all": "".join(f"{y} {t}\n" for y, t, s in questions if s == k).encode("latin-1")
            for p, k in (("train", 0), ("test", 2))
        },
        "sst_fine": {
            f"stsa.fine.{p}": "".join(f"{y} {t}\n" for y, t, s in phrases if s == k).encode()
            for k, p in enumerate(("train", "dev", "test"))
        },
    }
    tables = {
        "mr": "label\ttext\n" + "".join(f"{y}\t{t}\n" for y, t in reviews),
        "trec": "split\tlabel\tfine\ttext\n"
        + "".join(f"{('train', 'dev', 'test')[s]}\t{y}\tX:y\t{t}\n" for y, t, s in questions),
        "sst_fine": "split\tlabel\ttext\n" + "".join(f"{('train', 'dev', 'test')[s]}\t{y}\t{t}\n" for y, t, s in phrases),
    }
    rows = {"mr": [(y, t, -1) for y, t in reviews], "trec": questions, "sst_fine": phrases}
    for name, files in plain.items():
        layouts = {
            "official": write_layout(root, "official", files),
            "original_gz": write_layout(root, "original_gz", {f"{n}.gz": gzip.compress(c) for n, c in files.items()}),
            "tsv": write_layout(root, "tsv", {f"{name}.tsv": tables[name].encode()}),
        }
        labels, texts, split = zip(*rows[name], strict=True)
        arrays = listed_arrays(text.canonical(texts, labels, split))
        sources = [{"url": f"https://example.org/{n}", "file": n, "sha256": sha(c)} for n, c in files.items()]
        layouts["official"]["files"] = []
        loader = f"{text.__name__}:load_sentences"
        write_manifest(name, layouts=layouts, arrays=arrays, sources=sources, loader=loader, stand_in="synthetic_text")
    write_manifest("synthetic_text", access="embedded", tier="synthetic", loader=f"{text.__name__}:synthetic_sentences")
    return Layouts({name: root / name for name in ("official", "original_gz", "tsv")})


@pytest.fixture
def tiny_glove(tmp_path: Path, write_manifest: Callable[..., Path]) -> Layouts:
    """Vectors of five words in the official text file (with two words more), and as the reduced float16 array."""
    root = tmp_path / "vectors"
    words = ["the", "it", "n't", "caf\u00e9", "dull"]
    values = np.random.default_rng(0).standard_normal((7, 50)).round(5)
    lines = [f"{w} {' '.join(map(str, row))}\n" for w, row in zip(["zzz", *words, "qqq"], values, strict=True)]
    half = values[1:6].astype(np.float32).astype(np.float16)
    buffer = io.BytesIO()
    np.save(buffer, half)
    listed = "".join(f"{w}\n" for w in words).encode()
    layouts = {
        "official": write_layout(root, "official", {"glove.6B.50d.txt": "".join(lines).encode()}),
        "float16": write_layout(root, "float16", {"vocab.txt": listed, "glove6B_50d_f16.npy": buffer.getvalue()}),
    }
    write_manifest("glove_50d", layouts=layouts, steps=["Get it."])
    return Layouts({name: root / name for name in layouts})
