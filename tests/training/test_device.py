"""Device and determinism: nothing of a context outlives it, and asking for what is not there is one clear error."""

from __future__ import annotations

import os

import pytest
import torch
from torch import nn

from mtlrepro.device import choose, deterministic, generator, seeded
from mtlrepro.errors import BadValue, MtlreproError


def test_auto_is_always_usable():
    assert torch.zeros(1, device=choose("auto")).sum() == 0
    assert choose("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["gpu", "mps", "", "cuda:x"])
def test_other_names_are_refused(name):
    with pytest.raises(BadValue, match="auto, cpu or cuda"):
        choose(name)


def test_a_gpu_that_is_not_there_is_one_clear_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(MtlreproError, match="no such GPU"):
        choose("cuda")


@pytest.mark.parametrize("before", [False, True])
def test_determinism_and_threads_are_restored_also_after_an_error(before):
    torch.use_deterministic_algorithms(before)
    threads, workspace = torch.get_num_threads(), os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    try:
        with deterministic(threads=1):
            assert torch.are_deterministic_algorithms_enabled()
            assert torch.get_num_threads() == 1
            with pytest.raises(ZeroDivisionError), deterministic(threads=2):
                raise ZeroDivisionError
            assert torch.are_deterministic_algorithms_enabled()
            assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled() is before
        assert torch.get_num_threads() == threads
        assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == workspace
    finally:
        torch.use_deterministic_algorithms(False)


def test_streams_of_a_seed_differ_and_repeat():
    def draw(*key):
        return torch.rand(4, generator=generator(*key)).tolist()

    assert draw(1, "model") == draw(1, "model")
    assert len({tuple(draw(*key)) for key in [(1,), (2,), (1, "model"), (1, "order"), (2, "model"), (1, "model", 1)]}) == 6


def test_seeded_decides_initial_weights_and_leaves_the_global_state():
    state = torch.get_rng_state()
    with seeded(7, "model"):
        first = nn.LSTM(3, 4)
    with seeded(7, "model"):
        second = nn.LSTM(3, 4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)
