"""The list of runs for the machine with the GPU, and the images that they read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mtlrepro import exhibits
from mtlrepro.data.cifar import load_cifar
from mtlrepro.files import replacing, write_text
from mtlrepro.gpu.computing import listed
from mtlrepro.parameters import Params, profile_values
from mtlrepro.results import digest

# exhibit, function, its settings, the data that they read
Planned = tuple[str, Callable[..., Any], list[dict[str, Any]], dict[str, str]]
# exhibit, the function of its stages, parameters that it takes, the data that its runs read
Staged = tuple[str, Callable[[Params], Any], Params, dict[str, str]]
_SPLITS: tuple[Literal["train", "test"], ...] = ("train", "test")
_SETS: tuple[Literal["cifar10", "cifar100"], ...] = ("cifar10", "cifar100")


def planned() -> Iterator[Planned]:
    """The runs in the order in which an hour of a GPU is worth most; of whole profiles, which alone are published.

    A deleted paper has none. First what a processor cannot finish: STG-MTL's ResNet-18, then CO-TASK's ResNet-34. HydaLearn's toy
    problems are last: their networks are too small for a GPU, and the machine's processors train them.
    """
    papers = exhibits.papers()
    if "stgmtl" in papers:
        from mtlrepro.papers.stgmtl import fig7_f1
        from mtlrepro.papers.stgmtl.training import image_runs

        for profile in ("full", "paper"):
            settings = fig7_f1.settings(_params("stgmtl/fig7", profile))
            yield "stgmtl/fig7", fig7_f1.grouped_f1, settings, image_runs.digests(settings)
    if "cotask" in papers:
        from mtlrepro.papers.cotask import tab3_cifar_mtl
        from mtlrepro.papers.cotask.training import cifar_training

        p = _params("cotask/tab3", "paper")
        yield "cotask/tab3", tab3_cifar_mtl.accuracies, tab3_cifar_mtl.settings(p), cifar_training.first_data(p).sha256
    if "hydalearn" in papers:
        from mtlrepro.papers.hydalearn import fig4_toys

        toys = fig4_toys.settings(_params("hydalearn/fig4", "full"))
        # Ridge regression is scikit-learn's and takes no time: the notebook computes it.
        yield "hydalearn/fig4", fig4_toys.measure, [setting for setting in toys if setting["method"] != "ridge"], {}


def staged() -> Iterator[Staged]:
    """Exhibits whose later settings depend on earlier rows, before the list of `planned`: CO-TASK's full profile."""
    if "cotask" in exhibits.papers():
        from mtlrepro.papers.cotask import tab3_cifar_mtl
        from mtlrepro.papers.cotask.training import cifar_training

        p = _params("cotask/tab3", "full")
        yield "cotask/tab3", tab3_cifar_mtl.stages, p, cifar_training.first_data(p).sha256


def prepare(folder: Path) -> None:
    """Write CIFAR's arrays (``<set>-<split>.npz``) and the list (``settings.json``) into `folder`.

    Raises DataMissing where CIFAR is not at hand.
    """
    sets = {}
    for name in _SETS:
        for split in _SPLITS:
            loaded = load_cifar(name, split)
            labels = {key: values.astype(np.uint8) for key, values in loaded.labels.items()}
            with replacing(folder / f"{name}-{split}.npz") as part, part.open("wb") as file:
                np.savez(file, images=loaded.images, **labels)  # type: ignore[arg-type]
            said = {"classes": loaded.classes, "partial": loaded.partial, "tier": loaded.tier, "source": loaded.source}
            sets[f"{name}-{split}"] = said | {"sha256": loaded.sha256}
    graph = digest.graph()
    runs = [run for exhibit, function, settings, data in planned() for run in listed(exhibit, function, settings, data, graph)]
    stages = [
        {
            "exhibit": exhibit, "module": function.__module__, "function": function.__name__, "data": data,
            "profile": p.profile, "values": dict(p.values),
        }
        for exhibit, function, p, data in staged()
    ]  # fmt: skip
    write_text(folder / "settings.json", json.dumps({"sets": sets, "staged": stages, "runs": runs}, indent=1) + "\n")
    print(
        f"{len(runs)} runs, and {len(stages)} exhibits in stages, in {folder}: copy that folder and the checkout to the machine."
    )


def _params(exhibit: str, profile: str) -> Params:
    return Params(exhibit, profile, profile_values(exhibit, profile))
