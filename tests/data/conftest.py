"""Tiny data sets in the true layouts, a manifest folder of their own, and a web server that can break off."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from mtlrepro import paths
from mtlrepro.data import download
from mtlrepro.data.places import array_sha256
from mtlrepro.papers.transfer.data import text


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def manifest_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty manifest folder and an empty cache that the package uses instead of the real ones; no mirror."""
    folder = tmp_path / "data_manifests"
    folder.mkdir()
    monkeypatch.setattr(paths, "manifests", lambda: folder)
    monkeypatch.setenv("MTLREPRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MTLREPRO_MIRROR", raising=False)
    return folder


@pytest.fixture
def write_manifest(manifest_folder: Path) -> Callable[..., Path]:
    """Write a manifest; fields not given are plausible ones."""

    def write(name: str, **fields: Any) -> Path:
        content = {
            "name": name,
            "title": f"The set {name}",
            "authors": "Somebody",
            "citation": "Somebody (2000).",
            "home": "https://example.org/",
            "terms": "None.",
            "access": "open",
        } | fields
        file = manifest_folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        return file

    return write


def _layout(root: Path, folder: str, files: dict[str, bytes], **more: Any) -> dict[str, Any]:
    for name, content in files.items():
        target = root / folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return {"folders": ["."], "files": [{"path": n, "sha256": _sha(c), "size": len(c)} for n, c in files.items()]} | more


def _arrays(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    return [{"name": n, "dtype": a.dtype.name, "shape": list(a.shape), "sha256": array_sha256(a)} for n, a in arrays.items()]


@dataclass(frozen=True)
class Layouts:
    """Folders that each hold the same data set in one layout."""

    folders: dict[str, Path]


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
            "official": _layout(root, "official", files),
            "original_gz": _layout(root, "original_gz", {f"{n}.gz": gzip.compress(c) for n, c in files.items()}),
            "tsv": _layout(root, "tsv", {f"{name}.tsv": tables[name].encode()}),
        }
        labels, texts, split = zip(*rows[name], strict=True)
        arrays = _arrays(text.canonical(texts, labels, split))
        sources = [{"url": f"https://example.org/{n}", "file": n, "sha256": _sha(c)} for n, c in files.items()]
        layouts["official"]["files"] = []
        write_manifest(name, layouts=layouts, arrays=arrays, sources=sources)
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
        "official": _layout(root, "official", {"glove.6B.50d.txt": "".join(lines).encode()}),
        "float16": _layout(root, "float16", {"vocab.txt": listed, "glove6B_50d_f16.npy": buffer.getvalue()}),
    }
    write_manifest("glove_50d", layouts=layouts, steps=["Get it."])
    return Layouts({name: root / name for name in layouts})


def _strips(images: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for start in range(0, len(images), 100):
            strip = io.BytesIO()
            Image.fromarray(images[start : start + 100].reshape(-1, 32, 3)).save(strip, "WEBP", lossless=True, exact=True)
            archive.writestr(f"{start:05d}.webp", strip.getvalue())
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.fixture
def tiny_cifar(tmp_path: Path, write_manifest: Callable[..., Path]) -> Layouts:
    """CIFAR-100 with 230 training and 40 test images, as official binary files and as WebP strips."""
    root = tmp_path / "cifar"
    generator = np.random.default_rng(0)
    official: dict[str, bytes] = {}
    strips: dict[str, bytes] = {"names.json": b'{"fine_names": ["f0", "f1"], "coarse_names": ["c0"]}'}
    arrays: dict[str, np.ndarray] = {}
    for split, count in (("train", 230), ("test", 40)):
        images = generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        coarse, fine = (generator.integers(0, k, count, dtype=np.uint8) for k in (20, 100))
        rows = np.concatenate([coarse[:, None], fine[:, None], images.transpose(0, 3, 1, 2).reshape(count, -1)], 1)
        official[f"cifar-100-binary/{split}.bin"] = rows.tobytes()
        strips |= {f"{split}-00.zip": _strips(images), f"{split}-coarse.npy": _npy(coarse), f"{split}-fine.npy": _npy(fine)}
        arrays |= {f"{split}/images": images, f"{split}/coarse": coarse, f"{split}/fine": fine}
    official |= {"cifar-100-binary/coarse_label_names.txt": b"c0\n", "cifar-100-binary/fine_label_names.txt": b"f0\nf1\n"}
    layouts = {"official": _layout(root, "official", official), "strips": _layout(root, "strips", strips)}
    write_manifest("cifar100", layouts=layouts, arrays=_arrays(arrays), steps=["Get it."])
    return Layouts({name: root / name for name in layouts})


# --- a web server -----------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """Serves `files`. `break_after`: close the next answer after so many bytes. `ranges`: whether it can resume."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    break_after: int | None = None
    ranges: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    redirect: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A local web server; plain http is allowed for as long as it runs, and failed downloads are retried at once."""
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, wanted = self.path.lstrip("/"), self.headers.get("Range")
            state.asked.append((name, wanted))
            if name in state.redirect:
                self.send_response(302)
                self.send_header("Location", state.redirect[name])
                self.end_headers()
                return
            if name not in state.files:
                self.send_error(404)
                return
            body, start = state.files[name], 0
            if wanted and state.ranges:
                start = int(wanted.removeprefix("bytes=").split("-")[0])
                if start >= len(body):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            part, state.break_after = body[start:][: state.break_after], None
            self.wfile.write(part)
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        monkeypatch.setattr(download, "SCHEMES", ("http", "https"))
        monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
        yield state
        httpd.shutdown()
