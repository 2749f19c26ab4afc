"""Laws of the procedural scenes: seeds, classes, depth and the two controls."""

import pytest
import torch

from mtlrepro.data import schema
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.papers.classweights.data.scenes import PRESETS, UNLABELLED, preset, scenes

kinds = pytest.mark.parametrize("kind", list(PRESETS))


@pytest.fixture(scope="module")
def many():
    return {kind: scenes(kind, 64, seed=5) for kind in PRESETS}


@kinds
def test_a_seed_fixes_every_pixel(kind):
    """Law: same seed, same scenes; another seed, others; whole blocks of images do not depend on how many follow."""
    a, b, c = scenes(kind, 40, (32, 48), 3), scenes(kind, 33, (32, 48), 3), scenes(kind, 40, (32, 48), 4)
    for x, y, z, again in zip(a, b, c, scenes(kind, 40, (32, 48), 3), strict=True):
        assert torch.equal(x, again)
        assert torch.equal(x[:32], y[:32])
        assert x.dtype is torch.bool or not torch.equal(x, z)  # where no depth is missing, `valid` is True everywhere


@kinds
def test_shapes_ranges_and_invalid_pixels(kind, many):
    """Law: colours in 0 .. 1; depth within the preset's range and 0 where invalid; shares of holes and of unlabelled pixels."""
    made, found = preset(kind), many[kind]
    assert found.images.shape == (64, 3, 64, 128)
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    assert (found.depth[~found.valid] == 0).all()
    assert found.depth[found.valid].min() > 0.3 * made.near
    assert found.depth.max() <= made.far
    assert (found.labels.min() == UNLABELLED) == (made.unlabelled > 0)
    seen = found.labels != made.label(made.above) if made.open_sky else torch.ones_like(found.valid)
    assert float((~found.valid & seen).sum() / seen.sum()) == pytest.approx(made.holes, abs=0.01)
    assert float((found.labels == UNLABELLED).float().mean()) == pytest.approx(made.unlabelled, abs=0.01)
    inverse = found.inverse_depth
    torch.testing.assert_close(inverse[found.valid] * found.depth[found.valid], torch.ones(int(found.valid.sum())))
    assert (inverse[~found.valid] == 0).all()


@kinds
def test_every_class_is_there_and_surfaces_fill_most(kind, many):
    """Law: every class has pixels, none more than half of all; objects that are drawn more often have no fewer images."""
    made, labels = preset(kind), many[kind].labels
    shares = torch.bincount(labels[labels >= 0], minlength=len(made.classes)) / labels.numel()
    assert (shares > 0).all(), dict(zip(made.names, shares.tolist(), strict=True))
    assert shares.max() < 0.5
    surfaces = torch.tensor([c.frequency == 0 for c in made.classes])
    assert shares[surfaces].sum() > 0.5


@kinds
def test_explained_sets_how_much_of_depth_the_class_explains(kind):
    """Law: the share between classes of the variance of log depth, over the objects' pixels, rises with `explained` to 1 at 1.

    At 0 some share is left: place and size of a class decide at which distances it is seen. It is below that at 0.6.
    """
    made, shares = preset(kind), []
    for explained in (0.0, 0.3, 0.6, 1.0):
        found = scenes(kind, 96, (32, 64), 1, explained=explained)
        objects = torch.tensor([c.frequency > 0 for c in made.classes])
        here = (found.labels >= 0) & found.valid
        here &= objects[found.labels.clamp_min(0)]
        log, label = found.depth[here].double().log(), found.labels[here]
        count = torch.bincount(label, minlength=len(made.classes)).double()
        mean = torch.bincount(label, log, minlength=len(made.classes)) / count.clamp_min(1)
        shares.append(float((count * (mean - log.mean()).square()).sum() / (log - log.mean()).square().sum()))
    assert shares[1:] == sorted(shares[1:])
    assert shares[0] < shares[2]
    assert shares[-1] == pytest.approx(1, abs=1e-6)


@kinds
def test_misleading_changes_the_looks_of_its_class_alone(kind):
    """Law: labels and depth stay; colours change on most pixels of the class and on no other."""
    made = preset(kind)
    name = made.walls[0]
    plain, false = (scenes(kind, 16, (32, 64), 2, misleading=m) for m in ((), (name,)))
    for a, b in zip(plain[1:], false[1:], strict=True):
        assert torch.equal(a, b)
    changed = (plain.images != false.images).any(1)
    own = plain.labels == made.label(name)
    assert not changed[~own & (plain.labels != UNLABELLED)].any()
    assert changed[own].float().mean() > 0.9


def test_looks_tell_depth_unless_they_mislead():
    """Law: on walls of one class, the local contrast tells depth by rank; much less where that class misleads."""

    def rank_correlation(misleading):
        found = scenes("street", 64, seed=7, misleading=misleading)
        near_haze = (found.images - torch.tensor(preset("street").haze).view(3, 1, 1)).abs().mean(1)
        here = (found.labels == preset("street").label("building")) & found.valid
        a, b = (v[here].argsort().argsort().double() for v in (near_haze, found.depth))
        return float(torch.corrcoef(torch.stack([a, b]))[0, 1])

    honest, false = rank_correlation(()), rank_correlation(("building",))
    assert honest < -0.2
    assert honest < false - 0.05


def test_wrong_requests_are_refused_and_the_manifest_names_this_module():
    with pytest.raises(UnknownName):
        scenes("steret", 1)
    with pytest.raises(UnknownName):
        scenes("street", 1, misleading=("caar",))
    for wrong in ({"n": 0}, {"n": 1, "explained": 1.5}, {"n": 1, "size": (4, 64)}):
        with pytest.raises(BadValue):
            scenes("street", **wrong)
    assert schema.get("synthetic_scenes").loader == "mtlrepro.papers.classweights.data.scenes:scenes"
