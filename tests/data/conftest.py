"""A tiny CIFAR-100 in its true layouts, and a web server that can break off."""

from __future__ import annotations

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
from PIL import Image
from tiny_sets import Layouts, listed_arrays, write_layout

from mtlrepro.data import download


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
    layouts = {"official": write_layout(root, "official", official), "strips": write_layout(root, "strips", strips)}
    write_manifest("cifar100", layouts=layouts, arrays=listed_arrays(arrays), steps=["Get it."])
    return Layouts({name: root / name for name in layouts})


# --- a web server -----------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """Serves `files`. `break_after`: close the next answer after so many bytes. `ranges`: whether it can resume.

    `silent_after`: of the next answer, send so many bytes and then nothing more, for as long as it runs; 0: not even a status.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    break_after: int | None = None
    silent_after: int | None = None
    ranges: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    redirect: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A local web server; plain http is allowed for as long as it runs, and failed downloads are retried at once."""
    state, over = Server(), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, wanted = self.path.lstrip("/"), self.headers.get("Range")
            state.asked.append((name, wanted))
            silent, state.silent_after = state.silent_after, None
            if silent == 0:
                over.wait()
                return
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
            part, state.break_after = body[start:][: state.break_after if silent is None else silent], None
            self.wfile.write(part)
            if silent is not None:
                over.wait()
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
        over.set()
        httpd.shutdown()
