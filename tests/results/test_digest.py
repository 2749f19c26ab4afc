"""Laws of a finished run's key and of the record of its code."""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
import time

import pytest

from mtlrepro.errors import BadValue
from mtlrepro.results import digest
from mtlrepro.results.import_graph import ImportGraph

FILES = {
    "__init__.py": "",
    "methods/__init__.py": "",
    "methods/dtp.py": "GAMMA = 1.0\n",
    "methods/dwa.py": "TEMPERATURE = 2.0\n",
    "methods/registry.py": """
from importlib import import_module

MethodTable = dict
METHODS = MethodTable({"dtp": "dtp", "dwa": "dwa"})


def load(name):
    return import_module(f"laboratory.methods.{METHODS[name]}")
""",
    "study.py": """
from laboratory.methods import registry

BETA = 6.0


def point(method, seed):
    return {"value": BETA * seed}


def other(method, seed):
    return {"value": 0.0}


def inside():
    def nested(seed):
        return {"value": BETA}

    return nested


class Model:
    def bound(self, seed):
        return {}

    @staticmethod
    def static(seed):
        return {}


small = lambda seed: {}
""",
}
SETTING = {"method": "dtp", "seed": 1}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that stands for ours: files in a folder, imported anew by each test."""
    folder = tmp_path / "laboratory"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(digest, "graph", lambda: ImportGraph(folder))
    monkeypatch.setattr("mtlrepro.paths.PACKAGE", folder)
    monkeypatch.setattr(digest, "_STARTED", time.time_ns())
    monkeypatch.setattr(digest, "_first_digests", {})
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "laboratory"]:
        del sys.modules[name]


@pytest.fixture
def study(package):
    return importlib.import_module("laboratory.study")


def edit(file, old, new, later=True):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    if later:
        moment = time.time_ns() + 10**9
        os.utime(file, ns=(moment, moment))


def test_a_function_of_a_module_may_be_mapped(study):
    digest.refuse_notebook_function(study.point)


@pytest.mark.parametrize("kind", ["notebook", "nested", "lambda", "partial", "bound", "static", "class", "elsewhere", "replaced"])
def test_what_holds_more_than_its_file_may_not(study, kind):
    namespace = {"__name__": "__main__"}
    exec("def cell(seed): return {}", namespace)
    functions = {
        "notebook": namespace["cell"], "nested": study.inside(), "lambda": study.small, "bound": study.Model().bound,
        "partial": functools.partial(study.point, seed=1), "static": study.Model.static, "class": study.Model,
        "elsewhere": test_a_function_of_a_module_may_be_mapped, "replaced": study.other,
    }  # fmt: skip
    study.other = study.point
    with pytest.raises(BadValue, match=r"put it at the top level of mtlrepro/papers/<paper>/<exhibit>\.py") as error:
        digest.refuse_notebook_function(functions[kind])
    assert "\n" not in str(error.value)
    with pytest.raises(BadValue):
        digest.run_key(functions[kind], SETTING, {})


def test_a_key_is_of_function_code_setting_and_data(study, package):
    key = digest.run_key(study.point, SETTING, {"digits": "ab"})
    assert key == digest.run_key(study.point, dict(reversed(SETTING.items())), {"digits": "ab"})
    others = {
        digest.run_key(study.other, SETTING, {"digits": "ab"}),
        digest.run_key(study.point, SETTING | {"seed": 2}, {"digits": "ab"}),
        digest.run_key(study.point, SETTING | {"seed": True}, {"digits": "ab"}),
        digest.run_key(study.point, SETTING, {"digits": "cd"}),
        digest.run_key(study.point, SETTING, {}),
    }
    assert len(others | {key}) == 6
    edit(package / "methods/dwa.py", "2.0", "3.0")
    assert digest.run_key(study.point, SETTING, {"digits": "ab"}) == key
    edit(package / "methods/dtp.py", "1.0", "3.0")
    assert digest.run_key(study.point, SETTING, {"digits": "ab"}) != key


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_a_setting_that_is_no_json_is_one_clear_line(study, value):
    with pytest.raises(BadValue, match=r"^a setting of laboratory\.study\.point is not JSON: [^\n]+$"):
        digest.run_key(study.point, SETTING | {"seed": value}, {})


def test_names_are_every_string_of_a_setting():
    setting = {"method": "dtp", "others": ["dwa", {"upgrad": 1}], "pair": ("a", 2), "seed": 3, "none": None}
    assert digest.names_in(setting) >= {"dtp", "dwa", "upgrad", "a"}


def test_a_run_may_read_the_rows_that_its_code_holds(study):
    assert digest.rows_in(digest.run_code(study.point, SETTING)) == {"dtp"}


def test_a_record_is_current_until_something_of_it_changes(study, package):
    runs = [(study.point, {"method": name, "seed": seed}) for name in ("dtp", "dwa") for seed in range(3)]
    record = digest.code_record(runs)
    assert digest.changes(record) == []
    edit(package / "methods/dtp.py", "GAMMA", "# the paper's\nGAMMA")
    assert digest.changes(record) == []
    edit(package / "methods/dtp.py", "1.0", "2.0")
    assert digest.changes(record) == ["laboratory/methods/dtp.py changed"]
    assert digest.changes(digest.code_record([(study.point, {"method": "dwa"})])) == []
    edit(package / "study.py", "BETA = 6.0", "from laboratory import extra\nBETA = 6.0")
    (package / "extra.py").write_text("X = 1\n")
    edit(package / "methods/registry.py", '"dwa": "dwa"', '"dwa": "dtp"')
    assert digest.changes(record) == [
        "laboratory/extra.py is imported now",
        "laboratory/methods/dtp.py changed",
        "laboratory/methods/registry.py[dwa] changed",
        "laboratory/study.py changed",
    ]


def test_a_record_of_nothing_is_never_current(package):
    assert digest.changes(digest.code_record([])) == ["it was recorded without any code"]


def test_strings_that_name_a_module_are_kept_in_the_record(study, package):
    """A method's module may be called otherwise than its row."""
    edit(package / "methods/registry.py", '"dtp": "dtp"', '"priority": "dtp"')
    record = digest.code_record([(study.point, {"method": "dtp"})])
    assert "laboratory/methods/dtp.py" in record["parts"]
    assert digest.changes(record) == []


def test_code_that_is_gone_or_broken_is_a_change(study, package):
    record = digest.code_record([(study.point, SETTING)])
    (package / "methods/dtp.py").write_text("def (\n")
    [line] = digest.changes(record)
    assert line.startswith("laboratory/methods/dtp.py, line 1 cannot be read as Python")
    (package / "methods/dtp.py").unlink()
    assert "laboratory/methods/dtp.py is no longer imported" in digest.changes(record)
    (package / "study.py").unlink()
    assert digest.changes(record) == ["there is no module laboratory.study to take the digest of."]


def test_a_module_edited_after_its_import_is_refused(study, package):
    """Law: rows of the code in memory are never kept under the key of the code on disk."""
    digest.refuse_edited(digest.run_code(study.point, SETTING))
    edit(package / "study.py", "BETA = 6.0", "BETA = 6.0  # a comment")
    digest.refuse_edited(digest.run_code(study.point, SETTING))
    edit(package / "study.py", "6.0", "0.5")
    with pytest.raises(BadValue, match=r"laboratory/study\.py was edited after"):
        digest.refuse_edited(digest.run_code(study.point, SETTING))


def test_an_edit_before_the_first_key_is_refused_too(study, package):
    edit(package / "study.py", "6.0", "0.5")
    with pytest.raises(BadValue, match=r"laboratory/study\.py was edited after"):
        digest.refuse_edited(digest.run_code(study.point, SETTING))


def test_a_module_not_yet_imported_may_be_edited(study, package):
    digest.refuse_edited(digest.run_code(study.point, SETTING))
    edit(package / "methods/dtp.py", "1.0", "2.0")
    digest.refuse_edited(digest.run_code(study.point, SETTING))


def git(folder, *words):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def test_since_names_the_commit_that_last_changed_a_file(package):
    top = package.parent
    assert digest.since(["laboratory/study.py"]) == {}
    git(top, "init", "-q")
    git(top, "add", ".")
    git(top, "commit", "-qm", "First")
    edit(package / "methods/dtp.py", "1.0", "2.0")
    git(top, "commit", "-qam", "Another gamma")
    edit(package / "study.py", "6.0", "0.5")
    last = digest.since(["laboratory/methods/dtp.py", "laboratory/methods/registry.py[dtp]", "laboratory/study.py", "nowhere.py"])
    assert last.keys() == {"laboratory/methods/dtp.py", "laboratory/methods/registry.py", "laboratory/study.py"}
    assert last["laboratory/methods/dtp.py"].endswith("Another gamma")
    assert last["laboratory/methods/registry.py"].endswith("First")
    assert last["laboratory/study.py"] == "not committed"
    assert digest.since([]) == {}


def test_since_without_git_knows_nothing(package, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert digest.since(["laboratory/study.py"]) == {}
