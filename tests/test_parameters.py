"""Laws of notebook parameters: unknown names, wrong types and unset values are refused in one line."""

from __future__ import annotations

import jupytext
import pytest
from registered import EXHIBIT, misspelt

from mtlrepro import parameters
from mtlrepro.book import pairing
from mtlrepro.errors import BadValue, MtlreproError, UnknownName

DECLARED = {"profile": str, "seeds": int, "sizes": list[int], "noise": float | None}
QUICK = {"seeds": 3, "sizes": [1, 2], "noise": 0.5}


@pytest.fixture(autouse=True)
def one_profile(monkeypatch):
    real = parameters.profile_values
    monkeypatch.setattr(parameters, "profile_values", lambda exhibit, profile: (real("nothing", profile), dict(QUICK))[1])


def read(**given):
    namespace = {"__annotations__": DECLARED, "__name__": "__main__", "In": [], "Out": {}, "_i1": "", "get_ipython": print}
    unset = {"profile": "quick", "seeds": None, "sizes": None, "noise": None}
    return parameters.params(EXHIBIT.id, namespace | unset | given)


def test_none_is_filled_from_the_profile():
    p = read()
    assert (p.seeds, p.sizes, p.noise, p.overrides) == (3, [1, 2], 0.5, {})


def test_what_is_passed_wins_and_is_remembered_as_an_override():
    p = read(seeds=7)
    assert p.seeds == 7
    assert p.overrides == {"seeds": 7}


def test_passing_the_profiles_own_value_is_no_override():
    assert read(seeds=3).overrides == {}


def test_an_unknown_parameter_names_the_nearest_one():
    with pytest.raises(UnknownName, match=r"unknown parameter 'sedes', did you mean 'seeds'\?"):
        read(sedes=3)


@pytest.mark.parametrize(
    ("name", "value"), [("seeds", "three"), ("seeds", 2.5), ("seeds", True), ("sizes", 3), ("sizes", ["a"]), ("noise", "loud")]
)
def test_a_wrong_type_is_one_line_that_names_the_parameter(name, value):
    with pytest.raises(BadValue, match=name) as caught:
        read(**{name: value})
    assert "\n" not in str(caught.value)


def test_an_integer_serves_as_a_float():
    assert read(noise=1).noise == 1.0


@pytest.mark.parametrize("value", [0, -2])
def test_no_seeds_is_refused(value):
    with pytest.raises(BadValue, match="above 0"):
        read(seeds=value)


@pytest.mark.parametrize("given", [{"noise": -0.5}, {"sizes": [3, -1]}])
def test_a_number_below_0_is_refused_at_any_depth(given):
    """What a notebook does not list as above 0 may be 0, as a number of folds that are left out; never less."""
    assert read(noise=0.0).noise == 0
    with pytest.raises(BadValue, match=f"'{next(iter(given))}' must not be below 0"):
        read(**given)


def test_an_empty_list_is_refused_where_each_must_be_positive():
    with pytest.raises(BadValue, match="'sizes' is an empty list"):
        parameters.check(EXHIBIT.id, DECLARED, QUICK | {"profile": "quick", "sizes": []}, positive=("sizes",))


def test_unknown_profile_and_exhibit():
    with pytest.raises(UnknownName, match="did you mean 'quick'"):
        read(profile="quik")
    with pytest.raises(UnknownName, match=f"did you mean '{EXHIBIT.id}'"):
        parameters.params(misspelt(EXHIBIT.id), {})


def test_a_profile_that_sets_nothing_says_what_to_pass(monkeypatch):
    monkeypatch.setattr(parameters, "profile_values", lambda exhibit, profile: {"seeds": 1})
    with pytest.raises(BadValue, match="pass it with -p sizes"):
        read()


@pytest.mark.parametrize("source", pairing.sources(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_cells_of_parameters_may_be_run_again_at_any_time(source, monkeypatch):
    """Law: what other cells have set or declared meanwhile does not count; what papermill injected does."""
    monkeypatch.undo()
    cells = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "code"][:2]
    space = {"In": [""]}

    def cell(text):
        space["In"].append(text)
        exec(compile(text, "cell", "exec"), space)

    for text in (*cells, "rows = [1]\nlater: int = 3", *cells):
        cell(text)
    assert "later" not in space["p"].values
    assert space["p"].overrides == {}
    for text in (cells[0], "# Parameters\nprofile = 'full'\n", cells[1]):
        cell(text)
    assert space["p"].profile == "full"
    cell("# Parameters\nunheard_of = 3\n")
    with pytest.raises(UnknownName, match="unheard_of"):
        cell(cells[1])
    for text in cells:
        cell(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(BadValue, match="noise"):
        read(noise=value)


def test_what_is_no_parameter_is_no_attribute():
    with pytest.raises(AttributeError, match="no parameter"):
        _ = read().sedes


def test_errors_are_all_of_one_family():
    assert issubclass(UnknownName, MtlreproError)
    assert issubclass(BadValue, MtlreproError)
