"""The `paper` profile of every exhibit takes a step: the paper's network and code path, at reduced size.

What is reduced is how much is computed (records, images, epochs, seeds, a batch, a scene's size), by the parameters' names;
networks and methods are the profile's own. A notebook's cells are executed up to its first runs, and of each kind of these one
setting.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import nbformat
import pandas as pd
import pytest
from registered import EXHIBIT
from torch.optim.optimizer import register_optimizer_step_post_hook

from mtlrepro import exhibits, parameters, results
from mtlrepro.errors import BadValue, DataMissing
from mtlrepro.results.cost import Cost, paper_cost, resources

# The parameters of size among all profiles, and how much is enough for a step. Of a list or dictionary, each number.
REDUCED = {
    "seeds": 1, "single": 1, "search_seeds": 1, "control_seeds": 1, "leak_seeds": 0, "folds": 0, "tuning": 1, "pairs": 1,
    "instances": 1, "images": 2000, "tests": 2000, "records": 60, "samples": 60, "singles": 60, "tested": 20, "sentences": 60,
    "per_class": 2, "batch": 4, "size": 32, "epochs": 1, "tuning_epochs": 1, "steps": 100, "check": 1, "turns": 1, "batches": 2,
    "shuffles": 9,
}  # fmt: skip
SCENES = 16  # of each part, where the profile gives images by part


class Stepped(Exception):
    """A run has made its first update, or came to its rows without any."""


def reduced(name: str, value: Any) -> Any:
    if name == "device":
        return "cpu"
    if name == "encoder" and "bert" in value:
        return "glove"  # fixed, and weights that a person brings: what is trained stands before and behind it
    if name == "states":
        return value[1:]  # the first is a network before training
    if name not in REDUCED:
        return value
    if isinstance(value, dict):
        return {key: reduced(name, each) for key, each in value.items()}
    if isinstance(value, list):
        return [min(each, SCENES) if name == "images" else reduced(name, each) for each in value]
    return min(value, REDUCED[name])


PROFILES = [
    exhibit for exhibit in exhibits.everything() if exhibit.kind != "diagram" and parameters.profile_values(exhibit.id, "paper")
]


@pytest.mark.parametrize("exhibit", [exhibit.id for exhibit in PROFILES])
def test_the_paper_profile_states_its_cost(exhibit):
    """Law: in hours of a core, by factors that are numbers or the profile's own parameters."""
    cost = paper_cost(exhibit)
    assert cost is not None
    assert cost.hours > 0
    assert cost.samples is None or cost.samples > 0


def test_costs_follow_their_factors(monkeypatch):
    values = {"paper": {"epochs": 400, "images": 1000}, "full": {"epochs": 8, "images": 1000}}
    monkeypatch.setattr("mtlrepro.results.cost.profile_values", lambda exhibit, profile: values[profile])
    name = EXHIBIT.id.partition("/")[2]

    def stated(**entry):
        monkeypatch.setattr("mtlrepro.results.cost.costs", lambda paper: {name: entry})
        return paper_cost(EXHIBIT.id)

    assert stated(a_second=50, times=["epochs", "images", "9/2"]) == Cost(1.8e6, 10.0)
    monkeypatch.setattr("mtlrepro.results.cost.store.load", lambda *_: SimpleNamespace(provenance={"seconds": 1800.0}))
    assert stated(full=name, times=["epochs", "images", 3]) == Cost(None, 75.0)
    with pytest.raises(BadValue, match="'sedes' is no number"):
        stated(full=name, times=["sedes"])
    monkeypatch.setattr("mtlrepro.results.cost.costs", lambda paper: {})
    assert paper_cost(EXHIBIT.id) is None


def test_what_a_job_asks_for_follows_from_its_profile(monkeypatch):
    """Laws: memory is 4 GB and what the data hold; time is three times a core's hours, shared out, at least one hour, a day
    where they are not known; a GPU counts as ten cores."""
    values = {"paper": {"records": 2000, "epochs": 3}, "full": {"records": 100, "epochs": 3}}
    name = EXHIBIT.id.partition("/")[2]
    entry = {"a_second": 0.5, "times": ["records", "epochs"], "holds": ["records", 1e6, 12]}
    monkeypatch.setattr("mtlrepro.results.cost.profile_values", lambda exhibit, profile: values[profile])
    monkeypatch.setattr("mtlrepro.results.cost.costs", lambda paper: {name: entry})
    hours = 2000 * 3 / 0.5 / 3600
    assert resources(EXHIBIT.notebook, "paper") == {"mem_mb": 4000 + 24_000, "runtime": 3 * hours * 60}
    assert resources(EXHIBIT.notebook, "paper", shares=4) == {"mem_mb": 28_000, "runtime": 3 * hours * 60 / 4}
    assert resources(EXHIBIT.notebook, "paper", shares=100)["runtime"] == 60
    for device in ("cuda", "auto"):
        values["paper"]["device"] = device
        gpu = {"gpu": 1, "gpu_manufacturer": "nvidia", "scale": 0}
        assert resources(EXHIBIT.notebook, "paper") == {"mem_mb": 28_000, "runtime": 60} | gpu
    values["paper"]["records"] = 2_000_000
    assert resources(EXHIBIT.notebook, "paper", shares=4)["runtime"] == 3 * 1000 * hours * 60 / 4 / 10
    values["full"]["device"] = "auto"
    monkeypatch.setattr("mtlrepro.results.cost.store.load", lambda *_: SimpleNamespace(provenance={"seconds": 7200.0}))
    assert resources(EXHIBIT.notebook, "full", shares=2) == {"mem_mb": 4000, "runtime": 180}

    def nothing(*_):
        raise DataMissing("no run")

    monkeypatch.setattr("mtlrepro.results.cost.store.load", nothing)
    assert resources(EXHIBIT.notebook, "full") == {"mem_mb": 4000, "runtime": 24 * 60}


@pytest.mark.parametrize("exhibit", [exhibit.id for exhibit in PROFILES])
def test_what_the_paper_profile_holds_fits_a_node(exhibit):
    """Law: in memory at once are at most 64 GB, of sets larger on disk as well."""
    assert 4000 <= resources(exhibits.get(exhibit).notebook, "paper")["mem_mb"] < 64_000


@pytest.fixture
def stop_at_the_first_update():
    """Raises `Stepped` after an optimizer's step."""

    def stop(*_):
        raise Stepped

    handle = register_optimizer_step_post_hook(stop)
    yield
    handle.remove()


@pytest.mark.parametrize("exhibit", [exhibit.id for exhibit in PROFILES])
def test_the_paper_profile_takes_a_step(exhibit, monkeypatch, stop_at_the_first_update):
    """Law: the first run of each kind comes to an update, or to its rows where it trains nothing; skipped where data lack."""
    cells = [cell for cell in nbformat.read(exhibits.get(exhibit).source(), 4).cells if cell.cell_type == "code"]
    given = {name: reduced(name, value) for name, value in parameters.profile_values(exhibit, "paper").items()}

    def first_of_each_kind(self, function, settings, what="runs", jobs=None, data=None):
        settings = json.loads(json.dumps(list(settings)))
        if not settings:
            return pd.DataFrame()
        for setting in {setting.get("kind"): setting for setting in reversed(settings)}.values():
            assert function(**setting)
        raise Stepped

    def without_runs(*_, **__):
        pytest.skip("its data are not here")

    monkeypatch.setattr(results.Runs, "map", first_of_each_kind)
    monkeypatch.setattr(results, "record", without_runs)
    space: dict[str, Any] = {"__annotations__": {}}
    try:
        for cell in cells:
            exec(cell.source, space)
            if "parameters" in cell.metadata.get("tags", []):
                space |= {"profile": "paper", **given}
    except Stepped:
        return
    except DataMissing as error:
        pytest.skip(str(error))
    pytest.fail("the notebook runs nothing")
