"""Runs on a machine with PyTorch and NumPy alone: the rows of one with everything, up to the limit, and on from there."""

from __future__ import annotations

import functools
import itertools
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from forks import Forks
from sklearn import cluster, metrics, model_selection
from torchvision.models import resnet

from mtlrepro import paths
from mtlrepro.data.tasks import Task
from mtlrepro.device import deterministic, seeded
from mtlrepro.errors import DataCorrupt, MtlreproError, Unfinished
from mtlrepro.gpu import computing, graphs, speed, stand_ins
from mtlrepro.methods import registry
from mtlrepro.methods.data_maps import DataMap
from mtlrepro.methods.static import Static
from mtlrepro.models.resnet import CifarResNet, shared_bottom
from mtlrepro.papers.cotask import tab3_cifar_mtl
from mtlrepro.papers.stgmtl.training.image_runs import TaskNet
from mtlrepro.parameters import Params, profile_values
from mtlrepro.training import images
from mtlrepro.training.augmentation import Augmentation, image_data
from mtlrepro.training.image_batches import BinaryTasks
from mtlrepro.training.image_settings import ImageTraining
from mtlrepro.training.schedules import Schedule

PROJECT = f"""
import sys
sys.path.insert(0, {str(paths.PACKAGE.parent)!r})
"""
# Tiny settings on images of noise, in the place of the real list and of CIFAR.
TINY = """
import numpy as np
from mtlrepro.data import cifar

def noise_images(name, split, limit=None, mirror=None):
    rng, n = np.random.default_rng([len(name), len(split)]), 500 if split == "train" else 200
    fine = np.arange(n) % 100
    labels = {"label": fine % 10} if name == "cifar10" else {"coarse": fine // 5, "fine": fine}
    names = {key: [f"{key} {i}" for i in range(values.max() + 1)] for key, values in labels.items()}
    if name == "cifar100":
        from mtlrepro.papers.cotask.data.cifar_mtl import PAPER_NAMES
        names["coarse"] = list(PAPER_NAMES)
    images = rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    arrays = {key: values[:limit] for key, values in labels.items()}
    digest = cifar.arrays_sha256({"images": images[:limit]} | {k: v.astype(np.uint8) for k, v in arrays.items()})
    arrays = {key: values.astype(np.int64) for key, values in arrays.items()}
    return cifar.ImageSet(name, split, images[:limit], arrays, names, False, digest, "paper's data", "official")

cifar.load_cifar = noise_images
from mtlrepro.papers.cotask import tab3_cifar_mtl
from mtlrepro.papers.hydalearn import fig4_toys
from mtlrepro.papers.stgmtl import fig7_f1
from mtlrepro.papers.stgmtl.training import image_runs
from mtlrepro.parameters import Params, profile_values

def tiny(exhibit, **values):
    return Params(exhibit, "quick", profile_values(exhibit, "quick") | values, values)

def planned():
    p = tiny("stgmtl/fig7", seeds={"G1": 1}, images=100, tests=60, epochs=4, side=8, clusters={"G1": [2]})
    settings = fig7_f1.settings(p)
    yield p, fig7_f1.grouped_f1, settings, image_runs.digests(settings)
    p = tiny("hydalearn/fig4", seeds=2, steps={"Exp1": 40, "Exp2": 40}, points=16)
    toys = [s for s in fig4_toys.settings(p) if s["method"] == "hydalearn"]
    yield p, fig4_toys.measure, toys[:1], {}

def staged():
    p = tiny("cotask/tab3", parts={"multi": 1, "cotask": 1}, epochs=1, single_epochs=1, per_class=4, batch=8, rates=[0.1, 0.03],
             decays=[0.0005])
    yield "cotask/tab3", tab3_cifar_mtl.stages, p, tab3_cifar_mtl.first_data(p).sha256

def in_stages(p, runs, data):
    import pandas as pd
    stages = tab3_cifar_mtl.stages(p)
    frame = runs.map(*next(stages), data=data)
    while True:
        try:
            frame = runs.map(*stages.send(frame.to_dict("records")), data=data)
        except StopIteration:
            return frame
"""
PREPARE = """
from pathlib import Path
from mtlrepro.gpu import preparing
preparing.load_cifar = noise_images
preparing.planned = lambda: [(p.exhibit, *rest) for p, *rest in planned()]
preparing.staged = staged
preparing.prepare(Path("list"))
from mtlrepro.results import Runs
for p, function, settings, data in planned():
    Runs(p).map(function, settings, data=data)
for _, _, p, data in staged():
    in_stages(p, Runs(p), data)
"""
TAKE = """
from mtlrepro.results import Runs
for p, function, settings, data in planned():
    runs = Runs(p)
    before = runs.file.read_bytes()
    assert len(runs.map(function, settings, data=data)) > 0
    assert runs.file.read_bytes() == before
for _, _, p, data in staged():
    runs = Runs(p)
    before = runs.file.read_bytes()
    assert len(in_stages(p, runs, data)) > 0
    assert runs.file.read_bytes() == before
"""
# Python as on a machine where only PyTorch, NumPy and what PyTorch needs are installed.
BARE = """
import sys
from importlib.machinery import PathFinder
ALLOWED = {"mtlrepro", "numpy", "torch", "torchgen", "functorch", "triton", "nvidia", "cuda", "filelock", "typing_extensions",
           "sympy", "mpmath", "networkx", "jinja2", "markupsafe", "fsspec"}

class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        spec = super().find_spec(name, path, target)
        where = [] if spec is None else [spec.origin or "", *(spec.submodule_search_locations or [])]
        absent = name.partition(".")[0] not in ALLOWED and any("site-packages" in each for each in where)
        return None if absent else spec

sys.meta_path[sys.meta_path.index(PathFinder)] = Installed
import torch
"""
COMMAND = """
import runpy, sys
sys.argv = ["gpu", "--minutes", "5", "--folder", "list"]
runpy.run_module("mtlrepro.gpu", run_name="__main__")
"""
# The clock goes on by 100 seconds each time it is read: before each run, and in a training of images after each step.
UNTIL = """
import itertools, os
from pathlib import Path
os.environ["MTLREPRO_CACHE"] = "list"
from mtlrepro.gpu import stand_ins
stand_ins.install()
from mtlrepro.gpu import computing
print("left:", computing.compute(Path("list"), computing.Limit(250 / 60, itertools.count(0, 100).__next__)))
"""


def rows(folder: Path) -> dict[str, str]:
    """Key -> rows of each finished run, as text, in which two NaN are equal."""
    lines = [json.loads(line) for file in sorted(folder.glob("*/*.jsonl")) for line in file.read_text().splitlines()]
    return {
        line["key"]: json.dumps([{k: v for k, v in row.items() if "seconds" not in k} for row in line["rows"]]) for line in lines
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with a list of two runs and an exhibit in stages, its images, and what a machine with everything makes of them, in
    ``whole``; and a function that has code executed there, by a machine with everything or a bare one.
    """
    folder = tmp_path_factory.mktemp("gpu")
    with Forks(PROJECT + TINY, folder) as everything, Forks(PROJECT + BARE, tmp_path_factory.mktemp("bare")) as bare:

        def run(machine: str, code: str, runs: str) -> str:
            ended, said = (bare if machine == "bare" else everything).run(code, folder, MTLREPRO_RUNS=str(folder / runs))
            assert ended == 0, said
            return said

        run("everything", PREPARE, "whole")
        yield folder, run


@pytest.mark.xdist_group("gpu")
def test_a_bare_machine_computes_the_same_rows_and_the_notebooks_take_them(prepared):
    """Laws: with PyTorch and NumPy alone the rows are those of a machine with everything, and `Runs.map` computes none again."""
    folder, run = prepared
    assert "all runs of the list are finished" in run("bare", COMMAND, "bare")
    assert len(rows(folder / "bare")) == 2 + 6 + 3 + 2  # the list's; learning rates and decays of three methods; trainings
    assert rows(folder / "bare") == rows(folder / "whole")
    run("everything", TAKE, "bare")


@pytest.mark.xdist_group("gpu")
def test_it_stops_at_the_limit_and_goes_on_from_there(prepared):
    """Laws: no run begins after the limit, and the same command ends with the rows of an uninterrupted one."""
    folder, run = prepared
    whole = rows(folder / "whole")
    assert "left: 0" not in run("bare", UNTIL, "stopped")
    assert len(rows(folder / "stopped")) < len(whole)
    run("bare", COMMAND, "stopped")
    assert rows(folder / "stopped") == whole


def test_a_training_of_images_keeps_its_state_at_the_limit(tmp_path, monkeypatch):
    """Laws: a training stops at the limit whatever its checkpoint's own interval is, and goes on bit for bit from there."""
    for name in ("train_images", "Checkpoint"):
        monkeypatch.setattr(images, name, getattr(images, name))
    pictures = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    data, task = image_data(pictures, np.arange(64)), Task.of("noise", np.arange(64), np.arange(64) % 4)
    how = ImageTraining(epochs=3, batch=16, precision="float32")

    def trained(minutes: float) -> dict[str, torch.Tensor]:
        computing._stop_trainings_at(computing.Limit(minutes, itertools.count().__next__))
        with seeded(0):
            net = shared_bottom(CifarResNet((1,), (8,)), [4])
        checkpoint = images.Checkpoint(tmp_path / f"{name}.pt", 1e9)
        return images.train_images(net, data, [task], how, seed=0, checkpoint=checkpoint).model.state_dict()

    original = images.train_images
    name = "whole"
    whole = trained(1e9)
    name = "stopped"
    for _ in range(2):
        images.train_images = original
        with pytest.raises(Unfinished):
            trained(5 / 60)
        assert (tmp_path / "stopped.pt").is_file()
    images.train_images = original
    resumed = trained(1e9)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_rows_of_other_code_or_other_images_are_refused(tmp_path):
    """Laws: a key that the code here does not give is refused, and so are images that are not the prepared ones."""
    setting = {"problem": "Exp1", "inputs": "softened", "method": "hydalearn", "seeds": [0]}
    run = {"exhibit": "hydalearn/fig4", "module": "mtlrepro.papers.hydalearn.fig4_toys", "function": "measure", "data": {}}
    with pytest.raises(MtlreproError, match="other code"):
        computing._computed(run | {"setting": setting, "key": "0" * 24}, computing.Limit(1))
    np.savez(tmp_path / "cifar10-train.npz", images=np.zeros((2, 32, 32, 3), np.uint8), label=np.zeros(2, np.uint8))
    with pytest.raises(DataCorrupt):
        computing._stored_cifar(tmp_path, {"cifar10-train": {"sha256": "0" * 64}}, "cifar10", "train")


def test_k_means_is_scikit_learns():
    """Law: the same labels, number for number, for as many tasks and clusters as a figure has."""
    rng = np.random.default_rng(0)
    for seed, (tasks, clusters) in enumerate([(10, 2), (10, 3), (15, 3), (15, 5), (100, 10), (100, 20)] * 3):
        points = rng.normal(size=(tasks, tasks))
        ours, theirs = (
            package.KMeans(clusters, n_init=10, random_state=seed).fit(points.copy()).labels_ for package in (stand_ins, cluster)
        )
        np.testing.assert_array_equal(ours, theirs)


def test_splits_and_scores_are_scikit_learns():
    """Law: the same rows in the same order, the same scores, also with ties and without a positive answer."""
    rng = np.random.default_rng(1)
    for seed in range(20):
        each, classes = rng.permutation(300), rng.integers(0, 7, 300)
        for size in ({"test_size": 0.2}, {"train_size": 77}):
            pairs = zip(
                stand_ins.train_test_split(each, stratify=classes, random_state=seed, **size),
                model_selection.train_test_split(each, stratify=classes, random_state=seed, **size),
                strict=True,
            )
            for ours, theirs in pairs:
                np.testing.assert_array_equal(ours, theirs)
        truth, scores = rng.integers(0, 2, (50, 4)), rng.normal(size=(50, 4)).round(1)
        assert stand_ins.average_precision_score(truth, scores) == metrics.average_precision_score(truth, scores)
        truth[:, 0] = 0
        ours, theirs = (
            package.f1_score(truth, scores > 3 * (np.arange(4) < 2), average=None, zero_division=0)
            for package in (stand_ins, metrics)
        )
        np.testing.assert_array_equal(ours, theirs)
        ours, theirs = (package.f1_score(truth[:, 1], scores[:, 1] > 0, zero_division=0) for package in (stand_ins, metrics))
        assert ours == theirs


def test_resnet_is_torchvisions():
    """Law: the same initial weights under the same names, and the same features of the same images, from the same seed."""
    nets = []
    for package in (stand_ins, resnet):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            nets.append(package.resnet18(weights=None, norm_layer=torch.nn.BatchNorm2d))
    ours, theirs = (net.state_dict() for net in nets)
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(nets[0](pictures), nets[1](pictures))


def test_a_placeholder_is_never_computed_with():
    """Law: what is not installed may be named in bodies of modules and classes; a function that calls it fails and says why."""
    BaseModel = stand_ins.Placeholder("pydantic.BaseModel")

    class Entry(BaseModel):
        kept = BaseModel.Field(min_length=1)

    assert Entry.kept is not None
    with pytest.raises(MtlreproError, match="pydantic is not installed"):
        BaseModel()


def _noise_training(kind: str) -> images.Trained:
    """Of a tiny network, in batches of one task each, or of the same images with a smaller last batch and a data map."""
    rng = np.random.default_rng(0)
    data = image_data(rng.integers(0, 256, (197, 8, 8, 3), dtype=np.uint8), np.arange(197))
    same: dict[str, object] = {"epochs": 3, "batch": 16, "precision": "float32"}
    with seeded(0):
        if kind == "same images":
            labels, recorded = rng.integers(0, 2, (197, 3)), DataMap(3, 197, data.device)
            net, how = TaskNet(CifarResNet((1,), (8,)), 8, 3), ImageTraining(optimizer="adam", rate=2**-7, decay=0.0, **same)
            trained = images.train_images(
                net, data, BinaryTasks(np.arange(197), labels), how, seed=0, weighting=Static([0.2, 0.5, 0.3]),
                observe=lambda logits, batch: recorded.update(logits.sigmoid().T, batch.targets[1]),
            )  # fmt: skip
            assert recorded.count.eq(3).all(), "each image is seen once an epoch"
            return trained
        tasks = [Task.of(f"task {i}", rows, rng.integers(0, 4, len(rows))) for i, rows in enumerate(np.split(np.arange(192), 3))]
        net, moves = shared_bottom(CifarResNet((1,), (8,)), [4] * 3), Augmentation(crop=1, flip="random", rotation=15.0)
        how = ImageTraining(schedule=Schedule("cosine"), augmentation=moves, **same)
        return images.train_images(net, data, tasks, how, seed=0)


@pytest.mark.parametrize("kind", ["one task", "same images"])
def test_a_step_that_is_replayed_is_the_trainers(monkeypatch, kind):
    """Law: taking all that it reads from the device, by a counter there, a step does what the trainer's does, bit for bit."""
    plain = _noise_training(kind)
    replayed = []
    monkeypatch.setattr(images, "_Run", graphs.GraphedRun)
    monkeypatch.setattr(graphs, "captured", lambda step, _: lambda: (replayed.append(1), step()))
    graphed = _noise_training(kind)
    assert len(replayed) == 3 * 12 - graphs.WARM_UP
    ours, theirs = graphed.model.state_dict(), plain.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert torch.equal(graphed.losses, plain.losses)
    assert torch.equal(graphed.weights, plain.weights)
    assert (graphed.updates, graphed.images) == (plain.updates, plain.images)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["one task", "same images"])
def test_a_graph_is_the_step(monkeypatch, kind):
    """Law: on a GPU a captured step, replayed, trains what the trainer trains, bit for bit."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    monkeypatch.setattr(sys.modules[__name__], "image_data", functools.partial(image_data, device="cuda"))
    with graphs.own_stream(), deterministic():
        plain = _noise_training(kind)
        monkeypatch.setattr(images, "_Run", graphs.GraphedRun)
        graphed = _noise_training(kind)
    ours, theirs = graphed.model.state_dict(), plain.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_what_cannot_be_captured_goes_on_step_by_step(monkeypatch):
    """Law: weights that follow the losses are looked up by a task's number on the host; none of their steps is captured."""
    plain = images.train_images(*_arguments(), weighting=registry.build("dwa"), seed=0)
    monkeypatch.setattr(images, "_Run", graphs.GraphedRun)
    monkeypatch.setattr(graphs, "captured", lambda *_: pytest.fail("a step was captured"))
    again = images.train_images(*_arguments(), weighting=registry.build("dwa"), seed=0)
    assert torch.equal(plain.losses, again.losses)


def _arguments() -> tuple:
    pictures = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    tasks = [Task.of(name, rows, rows % 4) for name, rows in zip("ab", np.split(np.arange(64), 2), strict=True)]
    with seeded(0):
        net = shared_bottom(CifarResNet((1,), (8,)), [4, 4])
    return net, image_data(pictures), tasks, ImageTraining(epochs=4, batch=4, precision="float32")


def test_trainings_in_threads_are_those_alone(monkeypatch):
    """Law: trainings that take turns in one process draw and train what each does alone."""
    monkeypatch.setattr(images, "_Run", graphs.GraphedRun)

    def trained(seed: int) -> torch.Tensor:
        with graphs.turn:
            net, data, tasks, how = _arguments()
            return images.train_images(net, data, tasks, how, seed=seed).losses

    alone = [trained(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(trained, range(4)))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))
    assert len({float(losses.sum()) for losses in alone}) == 4


def test_a_stage_opens_when_the_one_before_is_finished():
    """Laws: later settings follow from earlier rows; what is finished is not computed again; the last stage ends the plan."""
    p = Params("cotask/tab3", "quick", profile_values("cotask/tab3", "quick"))
    entry = {
        "exhibit": "cotask/tab3", "module": tab3_cifar_mtl.__name__, "function": "stages", "data": {}, "profile": "quick",
        "values": dict(p.values),
    }  # fmt: skip
    plan = computing.Plan({"staged": [entry], "runs": []})
    finished: dict[str, dict] = {}
    plan.finished("cotask/tab3").finished_runs = lambda: finished
    seen = []
    while left := plan.left():
        seen.append([run["function"] for run in left])
        for run in left:
            row = {"rate": run["setting"]["training"]["rate"], "decay": run["setting"]["training"].get("decay", 5e-4)}
            finished[run["key"]] = {"rows": [row | {"validation": -abs(np.log(row["rate"] / 0.03)) - row["decay"]}]}
    assert [set(each) for each in seen] == [{"validated"}, {"validated"}, {"accuracies"}]
    assert len(seen[1]) == 3 * len(p.decays), "each of them, at the rate that was best"
    chosen = [run["setting"]["training"] for run in plan._stages[0].known(plan.finished("cotask/tab3"))][-len(seen[2]) :]
    assert all((each["rate"], each["decay"]) == (0.03, min(p.decays)) for each in chosen)


def test_speed_counts_the_images_of_all_trainings(monkeypatch):
    """Laws: trainings at once leave the trainer as it was; what they make of each other is a number above 0."""
    monkeypatch.setattr(speed, "IMAGES", 8 * 128)
    before = images._Run
    for graphed, at_once in ((False, 1), (True, 2)):
        assert speed.measure(speed.CASES[0], graphed, at_once, torch.device("cpu"), epochs=3).a_second > 0
    assert images._Run is before
    multiplications = sum(  # of the three stages on 16, 8 and 4 pixels, the stem and the shortcuts; the input has no gradient
        places * taps
        for places, taps in (
            (256, 9 * (16 * 16 * 2)),
            (64, 9 * (16 * 32 + 32 * 32) + 16 * 32),
            (16, 9 * (32 * 64 + 64 * 64) + 32 * 64),
        )
    )
    expected = 2 * (3 * (multiplications + 64 * 5) + 2 * 256 * 9 * 3 * 16)
    data = image_data(np.zeros((128, 16, 16, 3), np.uint8))
    assert speed.operations(speed.CASES[0], data) == expected
