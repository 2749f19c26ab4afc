"""Fixtures for every test: no test touches the user's cache, runs or global random state."""

from __future__ import annotations

import os

# Before numpy: its BLAS reads this once. Several workers with a thread for every core each spend their time waiting.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import settings
from torch.utils._python_dispatch import TorchDispatchMode

from mtlrepro import paths
from mtlrepro.book import pages

os.environ["MTLREPRO_PROGRESS"] = "0"
torch.set_num_threads(1)
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("suite")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A worker more than cores on a small machine: some always wait for a browser, a kernel or a build."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1 if cores <= 4 else cores


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long starts first, so that no worker is left alone with it at the end: slow tests, then groups."""
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in ("slow", "xdist_group")])


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, monkeypatch):
    """Runs and cache of a test lie in a folder of its own."""
    folder = tmp_path_factory.mktemp("mtlrepro")
    monkeypatch.setenv("MTLREPRO_RUNS", str(folder / "runs"))
    if "MTLREPRO_TEST_CACHE" not in os.environ:
        monkeypatch.setenv("MTLREPRO_CACHE", str(folder / "cache"))
    return folder


@pytest.fixture(autouse=True)
def global_state_untouched(request):
    """Law: nothing draws from or seeds a global random generator, or leaves torch's defaults changed."""
    if request.node.get_closest_marker("browser"):
        yield
        return
    before = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate(), torch.get_default_dtype())  # noqa: NPY002
    yield
    after = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate(), torch.get_default_dtype())  # noqa: NPY002
    assert torch.equal(before[0], after[0]), "the test moved torch's global generator"
    assert (before[1] == after[1]).all(), "the test moved numpy's global generator"
    assert before[3] == after[3], "the test changed torch's default dtype"
    assert not torch.are_deterministic_algorithms_enabled(), "the test left deterministic algorithms on"


class _NoHostReads(TorchDispatchMode):
    """Raises where a tensor's value is read on the host, which a CUDA graph cannot do."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert "_local_scalar_dense" not in str(func), "a step read a tensor's value on the host"
        return func(*args, **(kwargs or {}))


@pytest.fixture
def small_disk() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """Within small_disk(n) the system writes no file beyond n bytes: it stops in the middle of one, as a full disk does."""
    resource = pytest.importorskip("resource", reason="only Unix limits the size of files")

    @contextlib.contextmanager
    def limited(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture(scope="session")
def no_host_reads():
    return _NoHostReads


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


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built book; where there is none, its prose pages built here. Tests that use it are of the xdist group "site"."""
    built = paths.book() / "_build" / "html"
    if (built / "index.html").exists():
        return built
    output = tmp_path_factory.mktemp("book")
    pages.write_contents({}, output)
    return pages.render(output / "_toc.yml", output).parent
