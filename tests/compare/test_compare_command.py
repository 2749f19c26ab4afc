"""`mtlrepro compare` on the problem that the page tells its readers to write, and the words of the page."""

import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from mtlrepro import paths
from mtlrepro.cli import app
from mtlrepro.compare import page, problems, report, running
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.results import digest


def compare(*words):
    return CliRunner().invoke(app, ["compare", *words], catch_exceptions=False, env={"COLUMNS": "200"})


@pytest.fixture
def problem(tmp_path, monkeypatch):
    """The file of the page."""
    monkeypatch.setenv("MTLREPRO_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    text = (paths.book() / "which_method.md").read_text(encoding="utf-8")
    (tmp_path / "my_problem.py").write_text(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0])
    return tmp_path / "runs" / "compare.jsonl"


def test_the_problem_of_the_page_runs_as_the_page_says_and_an_interrupted_command_goes_on(problem):
    words = ["--problem", "my_problem.py", "--seeds", "2", "--trials", "4", "--share", "0.1"]
    said = compare(*words, "--methods", "uncertainty").output
    assert "my problem: 2 seeds, 4 trials" in said
    for title in ("single task", "equal weights", "static, tuned", "random weights", "uncertainty"):
        assert title in said
    finished = problem.read_text().splitlines()
    assert len(finished) == 5
    assert "GradNorm" in compare(*words, "--methods", "uncertainty,gradnorm").output
    assert problem.read_text().splitlines()[:5] == finished
    assert len(problem.read_text().splitlines()) == 6


def test_a_changed_problem_file_is_another_run(problem):
    places = {"mine": problems.place("my_problem.py")}
    before = digest.run_key(running.rows, {}, {places["mine"]: running.sha256_of(problem.parents[1] / "my_problem.py")})
    (problem.parents[1] / "my_problem.py").write_text("PROBLEM = None")
    assert digest.run_key(running.rows, {}, {places["mine"]: running.sha256_of(problem.parents[1] / "my_problem.py")}) != before


def test_trials_that_do_not_fit_are_refused_before_anything_is_trained(problem):
    with pytest.raises(BadValue, match=r"2 trials do not hold the 2 values of static .* take another\.$"):
        compare("--problem", "my_problem.py", "--methods", "uncertainty", "--trials", "2")
    assert not problem.exists()


def test_what_a_problem_lacks_is_said_in_one_line(problem):
    with pytest.raises(BadValue, match="lacks what dtp needs: validation"):
        compare("--problem", "my_problem.py", "--methods", "dtp")
    with pytest.raises(BadValue, match="no problem file other"):
        compare("--problem", "other.py")
    with pytest.raises(BadValue, match="name problems with --problem"):
        compare()
    with pytest.raises(UnknownName, match="unknown profile of the comparison"):
        compare("--profile", "ful")


def test_a_setting_that_names_a_module_counts_that_modules_code():
    """So a problem's code is part of its runs' keys, though the core imports no problem."""
    named = "mtlrepro.models.resnet"
    with_it, without = (digest.run_code(running.rows, {"place": place}) for place in (named, "elsewhere"))
    assert "mtlrepro/models/resnet.py" in with_it
    assert "mtlrepro/models/resnet.py" not in without
    assert named in digest.code_record([(running.rows, {"place": named})])["modules"]


def rows(seeds, count=12):
    """Method "single_task" is best everywhere, "equal" worst."""
    rng = np.random.default_rng(0)
    gain = {"static": 0.0, "single_task": 0.1, "equal": -0.1, "random_weights": 0.0}
    return pd.DataFrame(
        [
            {"problem": f"p/{i}", "method": method, "seed": seed, "metric": "accuracy", "title": "t", "inside": True, "cost": 1.0}
            | {"gradients": 1, "traits": "many tasks", "test": 0.7 + g + rng.normal(0, 1e-3), "equal_cost_test": 0.7 + g}
            for i in range(count) for method, g in gain.items() for seed in range(seeds)
        ]
    )  # fmt: skip


def test_sentences_are_told_only_where_the_gates_pass():
    assert "Too small to judge" in page.summary(rows(2), "quick", 60)
    said = page.summary(rows(10), "full", 3600)
    assert said.count("\n- ") == 5
    assert "Best by mean rank over 12 problems: single task (1.0 of 4)" in said
    assert "better: single task; worse: equal weights." in said
    assert "within 1 point of tuned static weights: random weights" in said


def test_methods_of_equal_ranks_are_both_named_best():
    """Law: where the sums of ranks are equal, no method is named before another."""
    half = {f"p/{i}" for i in range(6)}
    level = {"static": (0.7, 0.7), "equal": (0.6, 0.6), "single_task": (0.9, 0.8), "random_weights": (0.8, 0.9)}
    table = rows(10)
    table["test"] = [level[method][problem in half] for method, problem in zip(table.method, table.problem, strict=True)]
    assert page.sentences(table)[0].startswith("Best by mean rank over 12 problems: single task and random weights (1.5 of 4)")


def test_a_posterior_is_told_of_methods_that_serve_five_problems_or_more():
    """Law: two problems tell nothing of a further one, however large the effects on them; neither table nor sentence does."""
    table = rows(10)
    few = table[(table.method != "single_task") | table.problem.isin(["p/0", "p/1"])]
    line = report.overall(few).set_index("method").loc["single_task"]
    assert line[["worse", "same", "better"]].isna().all()
    assert "better: none" in page.summary(few, "full", 3600)


def test_the_decision_list_names_the_rows_that_support_it():
    line = report.by_trait(rows(3, 2)).iloc[0]
    assert (line["where"], line["best method"], line["rows"]) == ("many tasks", "single_task", "p/0, p/1")


def test_a_method_that_does_not_serve_every_problem_is_shown_with_those_that_it_serves():
    some = rows(2, 2)
    table = report.served(some[(some.method != "equal") | (some.problem == "p/1")], running.titles(), running.needs())
    assert table["problems"].tolist() == ["all", "all", "all", "p/1"]
    assert table["method"].iloc[-1] == "equal weights"


def test_an_effect_on_an_error_is_a_share_of_it_and_points_the_same_way():
    errors = rows(2, 1).assign(metric="MAE", test=lambda t: t.method.map({"static": 2.0, "single_task": 1.0}).fillna(2.0))
    found = report.by_problem(errors).set_index("method")["effect"]
    assert found["single_task"] == 0.5
    assert found["equal"] == 0


def test_the_quick_profile_names_problems_and_methods_that_there_are():
    chosen = page.settings("quick")
    assert set(chosen["problems"]) <= set(problems.discovered())
    assert set(chosen["methods"]) <= set(running.titles())
