"""Figure 7 of the transfer paper: multi- and single-task performance of pairs of tasks against the distance of their models."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtlrepro.device import NETWORK, deterministic
from mtlrepro.papers.transfer.data.synthetic import task_pairs
from mtlrepro.papers.transfer.training.pair_grid import fit_pairs, ridge_predictions, score
from mtlrepro.parameters import Params

RATES = [0.003, 0.01, 0.03, 0.1, 0.3]


class Setting(NamedTuple):
    """noise: standard deviation on the labels. rank: width of the shared module. longer: epochs over those of the profile."""

    noise: float
    rank: int = 1
    longer: int = 1


# The first is judged: the text's number of samples with the noise registered for it. The next two are for its gates.
SETTINGS = {
    "text's samples, noise": Setting(0.5),
    "twice the epochs": Setting(0.5, longer=2),
    "width 2": Setting(0.5, rank=2),
    "text's samples, no noise": Setting(0.0),
    "100 samples, noise": Setting(0.5),
}
# Panel -> (ReLU, classification).
PANELS = {"a": (False, False), "b": (False, True), "c": (True, False), "d": (True, True)}


def compare(panel: str, setting: str, seeds: list[int], pairs: int, samples: int, epochs: int) -> list[dict[str, Any]]:
    """Test score of the multi-task model, the single-task model and ridge, mean over both tasks; one row per seed and pair.

    panel: one of PANELS. setting: one of SETTINGS. samples: for training, of each task. Rows say whether the learning
    rates chosen for the multi-task model and for task 2 alone lie inside the grid.
    """
    (relu, classify), (noise, rank, longer) = PANELS[panel], SETTINGS[setting]
    epochs *= longer
    cosines = np.linspace(1, 0, pairs)
    mixes = [(float(c), float(np.sqrt(1 - c * c))) for c in cosines]
    kind: dict[str, Any] = {"rates": RATES, "rank": rank, "relu": relu, "classify": classify}
    scores = {name: torch.zeros(len(seeds), pairs) for name in ("multi", "single", "ridge")}
    with deterministic(threads=1), torch.no_grad():
        tasks = task_pairs(seeds, mixes, m=(samples, samples), noise=noise, relu=relu, classify=classify, dtype=NETWORK)
        with torch.enable_grad():
            together = fit_pairs(tasks.train, tasks.validation, seeds, epochs=epochs, **kind)
        for task, (train, validation, test) in enumerate(zip(tasks.train, tasks.validation, tasks.test, strict=True)):
            if task == 0:  # task 1 is the same in every pair
                train, validation = (part._replace(y=part.y[:, :1]) for part in (train, validation))
            with torch.enable_grad():
                alone = fit_pairs([train], [validation], seeds, epochs=2 * epochs, **kind)
            predicted: dict[str, Tensor] = {
                "multi": together(test.x, task),
                "single": alone(test.x, 0),
                "ridge": ridge_predictions(train, validation, test, classify),
            }
            for name, values in predicted.items():
                scores[name] = scores[name] + score(values, test.y, classify) / 2
    arms = {"multi": together, "single": alone}
    return [
        {"seed": seed, "distance": round(1 - c, 6)}
        | {name: values[i, j].item() for name, values in scores.items()}
        | {f"{arm} rate inside": min(RATES) < model.rates[i, j].item() < max(RATES) for arm, model in arms.items()}
        for i, seed in enumerate(seeds)
        for j, c in enumerate(cosines)
    ]


def settings(p: Params) -> list[dict[str, Any]]:
    """Every setting and panel, ten seeds at a time; the control is linear regression."""
    few, many = (
        {"samples": samples, "epochs": epochs}
        for samples, epochs in ((100, p.epochs), (p.literal_samples, p.literal_epochs))
    )  # fmt: skip
    return [
        {"panel": panel, "setting": name, "pairs": p.pairs, "seeds": list(range(first, min(first + 10, p.first_seed + count)))}
        | sizes
        for name in SETTINGS
        for count, sizes in [(p.seeds, few) if name == "100 samples, noise" else (p.literal_seeds, many)]
        for panel in (PANELS if name != "width 2" else "a")
        for first in range(p.first_seed, p.first_seed + count, 10)
    ]
