"""Laws of the aligned model: it starts as the plain one, R_i acts on its own task alone, the control is as large as R_i."""

from __future__ import annotations

import pytest
import torch

from mtlrepro.device import generator, seeded
from mtlrepro.papers.transfer.models.aligned import KINDS, AlignedBottom, EmbeddedMLP
from mtlrepro.papers.transfer.models.sentence import ENCODERS


def model(kind, encoder="embedded", d=6):
    with seeded(1, "aligned test"):
        vectors = torch.randn(20, d, generator=generator(2))
        made = EmbeddedMLP(d, d) if encoder == "embedded" else ENCODERS[encoder](vectors, d, False, 0.0)
        return AlignedBottom(made, d, d, [2, 3], kind)


def inputs(encoder):
    if encoder == "embedded":
        return torch.randn(5, 6, generator=generator(3))
    return torch.randint(20, (5, 7), generator=generator(3)), torch.tensor([7, 3, 5, 1, 2])


@pytest.mark.parametrize("encoder", ["embedded", *ENCODERS])
@pytest.mark.parametrize("kind", KINDS[1:])
def test_every_kind_starts_as_the_plain_model(kind, encoder):
    plain, other = model("plain", encoder), model(kind, encoder)
    for task in (0, 1):
        torch.testing.assert_close(other(inputs(encoder), task), plain(inputs(encoder), task))


@pytest.mark.parametrize("encoder", ["embedded", *ENCODERS])
def test_an_alignment_moves_its_own_task_alone(encoder):
    aligned = model("aligned", encoder)
    before = [aligned(inputs(encoder), task) for task in (0, 1)]
    with torch.no_grad():
        aligned.matrices[0] *= 2.0
    assert not torch.allclose(aligned(inputs(encoder), 0), before[0])
    assert torch.equal(aligned(inputs(encoder), 1), before[1])


def test_alignment_of_embeddings_is_a_product_before_the_encoder():
    aligned, plain = model("aligned"), model("plain")
    x, square = inputs("embedded"), torch.randn(6, 6, generator=generator(4))
    with torch.no_grad():
        aligned.matrices[1].copy_(square)
    torch.testing.assert_close(aligned(x, 1), plain(x @ square, 1))


def test_the_control_has_as_many_parameters_and_turns_leave_the_encoder_out():
    sizes = {kind: sum(p.numel() for p in model(kind).parameters()) for kind in KINDS}
    assert sizes["aligned"] == sizes["control"] == sizes["plain"] + 2 * 36
    aligned = model("aligned")
    moved = {id(p) for group in aligned.turns() for p in group}
    assert moved == {id(p) for p in aligned.parameters()} - {id(p) for p in aligned.shared_parameters()}
