"""Laws of the code digest: what can change a number changes it, what cannot does not."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mtlrepro import paths
from mtlrepro.errors import BadValue
from mtlrepro.results.import_graph import _KNOWN, ImportGraph, _canonical

STUDY = "lab.papers.alpha.study"

FILES = {
    "__init__.py": '__version__ = "1"\n',
    "errors.py": 'WORDS = "wrong"\n',
    "exhibits.py": "def get(name): ...\n",
    "exhibits.yaml": """
        exhibits:
        - id: alpha/tab1
          title: A table
          claims: [{id: better, effect: 0.1}]
          values: {rate: 0.5}
    """,
    "methods/__init__.py": """
        from importlib import import_module
        from typing import TYPE_CHECKING

        if TYPE_CHECKING:
            from lab.methods.dtp import Dtp

        __all__ = ["Dtp", "Dwa"]
        _MODULE = {"Dtp": "dtp", "Dwa": "dwa"}


        def __getattr__(name):
            if name not in _MODULE:
                raise AttributeError(name)
            return getattr(import_module(f"lab.methods.{_MODULE[name]}"), name)
    """,
    "methods/dtp.py": "class Dtp:\n    gamma = 1.0\n",
    "methods/dwa.py": "class Dwa:\n    temperature = 2.0\n",
    "methods/registry.py": """
        from importlib import import_module

        METHODS = MethodTable({"priority": Method("dtp", "Dtp"), "average": Method("dwa", "Dwa")})


        def build(name):
            row = METHODS[name]
            return getattr(import_module(f"lab.methods.{row.module}"), row.constructor)()
    """,
    "training/__init__.py": """
        WIDTH = 8


        def __getattr__(name):
            from lab.training import loop

            return getattr(loop, name)
    """,
    "training/loop.py": "STEPS = 10\n\n\ndef fit(): ...\n",
    "training/metrics.py": "def score(): ...\n",
    "results/__init__.py": "from lab.results.claims import interval\nfrom lab.results.runs import Runs\n",
    "results/claims.py": "def interval(): return 0.95\n",
    "results/runs.py": "class Runs: ...\n",
    "papers/__init__.py": "",
    "papers/alpha/__init__.py": "",
    "papers/alpha/study.py": """
        import numpy as np

        from lab.errors import WORDS

        BETA = 6.0
        GRID = {"rate": 0.1}


        def point(seed):
            return {"value": BETA * seed}
    """,
}


class Lab:
    """A small package in a folder; `digest` reads its files anew each time."""

    def __init__(self, folder: Path) -> None:
        self.package = folder / "lab"
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str | bytes) -> None:
        file = self.package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.package / name).read_text()
        assert old in text
        (self.package / name).write_text(text.replace(old, new))

    def study(self, *lines: str) -> None:
        """The study with more lines at its end."""
        self.write("papers/alpha/study.py", textwrap.dedent(FILES["papers/alpha/study.py"]) + "\n".join(lines) + "\n")

    def parts(self, *names: str, module: str = STUDY) -> dict[str, str]:
        return ImportGraph(self.package).closure(module, names)

    def modules(self, *names: str) -> set[str]:
        """Parts of the study besides itself and the packages on the way, without ``lab/``."""
        usual = {"papers/__init__.py", "papers/alpha/__init__.py", "papers/alpha/study.py"}
        return {part.removeprefix("lab/") for part in self.parts(*names)} - usual


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


# --- what one module's digest sees


MEANING_KEPT = {
    "a comment": ("BETA = 6.0", "BETA = 6.0  # the paper's"),
    "layout": ('{"value": BETA * seed}', '{\n        "value": (BETA * seed),\n    }'),
    "quotes": ('"value"', "'value'"),
    "a docstring": ("def point(seed):", 'def point(seed):\n    """One point."""'),
    "a module docstring": ("import numpy", '"""A study."""\nimport numpy'),
    "a literal's spelling": ("6.0", "6.00"),
    "names for import *": ("BETA = 6.0", '__all__ = ["point"]\nBETA = 6.0'),
    "a refusal": (
        "def point(seed):",
        "from lab.refusals import refuse_odd\ndef point(seed):\n    refuse_odd(seed, least=BETA, shape=np.shape)",
    ),
    "what a check hands on": (
        'def point(seed):\n    return {"value": BETA * seed}',
        'from lab.refusals import checked_odd\ndef point(seed):\n    return {"value": checked_odd(BETA * seed, np)}',
    ),
    "an import for type checkers": (
        "BETA",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lab.methods.dtp import Dtp\nBETA",
    ),
}
MEANING_CHANGED = {
    "a constant": ("6.0", "0.5"),
    "a constant's type": ("6.0", "6"),
    "a value in a table": ('"rate": 0.1', '"rate": 0.2'),
    "a string": ('"value"', '"score"'),
    "a default": ("def point(seed)", "def point(seed=0)"),
    "an operator": ("BETA * seed", "BETA + seed"),
    "an imported name": ("import numpy as np", "import scipy as np"),
    "what is done where no type checker runs": ("BETA = 6.0", "if not TYPE_CHECKING:\n    BETA = 6.0"),
    "a decorator": ("def point", "@twice\ndef point"),
    "a refusal that computes": (
        "def point(seed):",
        "from lab.refusals import refuse_odd\ndef point(seed):\n    refuse_odd(np.seed(seed))",
    ),
    "a check that computes": (
        'def point(seed):\n    return {"value": BETA * seed}',
        'from lab.refusals import checked_odd\ndef point(seed):\n    return {"value": checked_odd(BETA * seed, np.seed(seed))}',
    ),
    "a function that is called as a check is": ("BETA * seed", "checked_odd(BETA * seed)"),
    "what a refusal would give": ("BETA * seed", "BETA * refuse_odd(seed)"),
    "a function that is called as a refusal is": ("def point(seed):", "def point(seed):\n    refuse_odd(seed)"),
}


@pytest.mark.parametrize("what", MEANING_KEPT)
def test_what_cannot_change_a_number_keeps_the_digest(lab, what):
    old, new = MEANING_KEPT[what]
    if what == "an import for type checkers":  # the import of TYPE_CHECKING itself is code
        lab.edit("papers/alpha/study.py", "BETA = 6.0", "from typing import TYPE_CHECKING\nBETA = 6.0")
        old, new = "BETA = 6.0", "if TYPE_CHECKING:\n    from lab.methods.dtp import Dtp\nBETA = 6.0"
    before = lab.parts()
    lab.edit("papers/alpha/study.py", old, new)
    assert lab.parts() == before


@pytest.mark.parametrize("what", MEANING_CHANGED)
def test_what_can_change_a_number_changes_the_digest_of_its_module_alone(lab, what):
    before = lab.parts()
    lab.edit("papers/alpha/study.py", *MEANING_CHANGED[what])
    after = lab.parts()
    assert {part for part in before if before[part] != after[part]} == {"lab/papers/alpha/study.py"}


def test_pieces_of_an_f_string_do_not_depend_on_how_it_is_written(lab):
    lab.study('LABEL = f"{BETA}{{x}} and {BETA:>{3}}"')
    one = lab.parts()
    lab.study('LABEL = f"{BETA}" "{x}" f" and " f"{BETA:>{3}}"')
    assert lab.parts() == one
    lab.study('LABEL = f"{BETA}{{y}} and {BETA:>{3}}"')
    assert lab.parts() != one


@pytest.mark.parametrize("content", [b"x = '\xff\xfe'\n", b"def point(:\n", b"x = 1\0\n"])
def test_a_module_that_is_not_python_is_one_clear_line(lab, content):
    lab.write("methods/dtp.py", content)
    lab.study("from lab.methods import dtp")
    with pytest.raises(BadValue, match=r"^lab/methods/dtp\.py.* cannot be read as Python: [^\n]+$"):
        lab.parts()


# --- which modules count


IMPORTS = {
    "from lab.methods.dtp import Dtp": {"methods/__init__.py", "methods/dtp.py"},
    "from lab.methods import dtp": {"methods/__init__.py", "methods/dtp.py"},
    "import lab.methods.dtp": {"methods/__init__.py", "methods/dtp.py"},
    "import lab.methods.dtp as d": {"methods/__init__.py", "methods/dtp.py"},
    "def late():\n    from lab.methods import dtp": {"methods/__init__.py", "methods/dtp.py"},
    "try:\n    import lab.methods.dtp\nexcept ImportError:\n    pass": {"methods/__init__.py", "methods/dtp.py"},
    "from ...methods import dtp": {"methods/__init__.py", "methods/dtp.py"},
    "from ...methods.dtp import Dtp": {"methods/__init__.py", "methods/dtp.py"},
    "from . import other": {"papers/alpha/other.py"},
    "from importlib import import_module as load\nload('lab.methods.dtp')": {"methods/__init__.py", "methods/dtp.py"},
    "import importlib\nimportlib.import_module(name='lab.methods.dtp')": {"methods/__init__.py", "methods/dtp.py"},
    "__import__('lab.methods.dtp')": {"methods/__init__.py", "methods/dtp.py"},
    # a package's lazy names: the one that is asked for
    "from lab.methods import Dtp": {"methods/__init__.py", "methods/dtp.py"},
    "from lab import methods\nmethods.Dtp()": {"methods/__init__.py", "methods/dtp.py"},
    "import lab.methods as m\ndef late():\n    return m.Dtp": {"methods/__init__.py", "methods/dtp.py"},
    "import lab.methods": {"methods/__init__.py"},
    "from lab import methods\ngetattr(methods, 'Dt' + 'p')": {"methods/__init__.py", "methods/dtp.py", "methods/dwa.py"},
    "from lab.training import fit": {"training/__init__.py", "training/loop.py"},
    "from lab.training import WIDTH": {"training/__init__.py"},
    "from lab.training import metrics": {"training/__init__.py", "training/metrics.py"},
    "from lab.training.metrics import score": {"training/__init__.py", "training/metrics.py"},
    # what keeps and reports rows does not count, what it re-exports does
    "from lab.results import Runs": set(),
    "from lab.results.runs import Runs": set(),
    "from lab.results import interval": {"results/claims.py"},
    "from lab import results\nresults.interval()": {"results/claims.py"},
    "import lab": set(),
    "import numpy.linalg, os.path": set(),
    # names computed at run time
    "import importlib\ndef late(n):\n    importlib.import_module(f'torchvision.{n}')": set(),
    "import importlib\ndef late(n):\n    importlib.import_module('lab.training.' + n)": {
        "training/__init__.py", "training/loop.py", "training/metrics.py",
    },
    "import importlib\ndef late(n):\n    importlib.import_module(f'.{n}', __package__)": {"papers/alpha/other.py"},
}  # fmt: skip


@pytest.mark.parametrize("lines", IMPORTS)
def test_every_way_of_importing_counts_what_it_imports_and_no_more(lab, lines):
    lab.write("papers/alpha/other.py", "X = 1\n")
    lab.study(lines)
    assert lab.modules() == IMPORTS[lines]


@pytest.mark.parametrize(
    "lines",
    [
        "import importlib\ndef late(n):\n    importlib.import_module(n)",
        "import importlib\ndef late(n):\n    importlib.import_module(f'{n}.x')",
        "from importlib import import_module\nmap(import_module, ['lab.methods.dtp'])",
        "from lab.methods import *",
    ],
)
def test_an_import_that_cannot_be_followed_is_refused(lab, lines):
    lab.study(lines)
    with pytest.raises(BadValue, match=r"^lab/papers/alpha/study\.py, line \d+ imports [^\n]+$"):
        lab.parts()
    lab.write("errors.py", lines)
    lab.study("from lab.errors import WORDS")  # in a module that does not count it harms nothing
    assert lab.modules() == set()


def test_a_change_behind_another_module_counts_and_one_elsewhere_does_not(lab):
    lab.write("training/loop.py", "from lab.methods.dtp import Dtp\n")
    lab.study("from lab.training import fit")
    before = lab.parts()
    lab.edit("methods/dwa.py", "2.0", "3.0")
    lab.edit("results/claims.py", "0.95", "0.9")
    assert lab.parts() == before
    lab.edit("methods/dtp.py", "1.0", "2.0")
    after = lab.parts()
    assert {part for part in before if before[part] != after[part]} == {"lab/methods/dtp.py"}


def test_circular_imports_end(lab):
    lab.write("methods/dtp.py", "from lab.methods import dwa\nfrom lab.papers.alpha import study\n")
    lab.write("methods/dwa.py", "from lab.methods.dtp import Dtp\n")
    lab.study("import lab.methods.dtp")
    assert lab.modules() == {"methods/__init__.py", "methods/dtp.py", "methods/dwa.py"}


def test_a_renamed_module_changes_its_importers_and_its_name_but_not_its_own_digest(lab):
    lab.study("from lab.methods.dtp import Dtp")
    before = lab.parts()
    (lab.package / "methods/dtp.py").rename(lab.package / "methods/priority.py")
    lab.edit("papers/alpha/study.py", "lab.methods.dtp", "lab.methods.priority")
    after = lab.parts()
    assert after["lab/methods/priority.py"] == before["lab/methods/dtp.py"]
    assert after.keys() ^ before.keys() == {"lab/methods/priority.py", "lab/methods/dtp.py"}
    assert after["lab/papers/alpha/study.py"] != before["lab/papers/alpha/study.py"]


def test_a_new_lazy_name_changes_nothing_for_those_who_ask_for_another(lab):
    lab.study("from lab.methods import Dtp")
    before = lab.parts()
    lab.edit("methods/__init__.py", '_MODULE = {"Dtp": "dtp", ', '_MODULE = {"Dtp": "dtp", "Famo": "famo", ')
    lab.write("methods/famo.py", "class Famo: ...\n")
    assert lab.parts() == before


def test_a_table_beside_lazy_names_counts_where_more_than_they_read_it(lab):
    lab.edit("methods/__init__.py", "def __getattr__", "NAMES = list(_MODULE)\n\n\ndef __getattr__")
    lab.study("import lab.methods")
    before = lab.parts()
    lab.edit("methods/__init__.py", '"Dtp": "dtp"', '"Dtp": "dwa"')
    assert lab.parts() != before


def test_a_module_that_is_not_there_is_named(lab):
    with pytest.raises(BadValue, match=r"no module lab\.nowhere"):
        lab.parts(module="lab.nowhere")


# --- methods by name


BUILD = "from lab.methods.registry import build\ndef run(method): return build(method)"
REGISTRY = {"methods/__init__.py", "methods/registry.py"}
PRIORITY = {"methods/registry.py[priority]", "methods/dtp.py"}
AVERAGE = {"methods/registry.py[average]", "methods/dwa.py"}


def test_a_run_counts_the_methods_that_its_setting_or_its_code_names(lab):
    lab.study(BUILD)
    assert lab.modules() == REGISTRY
    assert lab.modules("priority") == REGISTRY | PRIORITY
    assert lab.modules("priority", "average", "seed") == REGISTRY | PRIORITY | AVERAGE
    lab.study(BUILD, 'BASELINE = "average"')
    assert lab.modules("priority") == REGISTRY | PRIORITY | AVERAGE
    lab.study(BUILD, "BASELINES = dict(average={})")
    assert lab.modules() == REGISTRY | AVERAGE


def test_a_method_named_by_a_method_counts_too(lab):
    lab.edit("methods/dtp.py", "gamma = 1.0", 'fallback = "average"')
    lab.study(BUILD)
    assert lab.modules("priority") == REGISTRY | PRIORITY | AVERAGE


def test_one_more_method_changes_nothing_and_a_changed_row_changes_the_runs_that_name_it(lab):
    lab.study(BUILD)
    before = lab.parts("priority"), lab.parts("average")
    lab.edit("methods/registry.py", "MethodTable({", 'MethodTable({"famo": Method("famo", "Famo"), ')
    lab.write("methods/famo.py", "class Famo: ...\n")
    assert (lab.parts("priority"), lab.parts("average")) == before
    lab.edit("methods/registry.py", 'Method("dtp", "Dtp")', 'Method("dtp", "Dtp", alpha=2)')
    assert lab.parts("average") == before[1]
    changed = {part for part, digest in lab.parts("priority").items() if digest != before[0][part]}
    assert changed == {"lab/methods/registry.py[priority]"}


def test_a_table_that_nobody_guards_counts_whole(lab):
    """A plain dict can be read in ways that leave no trace."""
    lab.edit("methods/registry.py", "MethodTable({", "dict({")
    lab.study(BUILD)
    assert lab.modules() == REGISTRY | {"methods/dtp.py", "methods/dwa.py"}


def test_asked_are_the_names_that_matter(lab):
    lab.study(BUILD)
    assert ImportGraph(lab.package).asked(STUDY, ["priority", "dwa", "digits"]) == ["dwa", "priority"]
    lab.study()
    assert ImportGraph(lab.package).asked(STUDY, ["priority", "dwa", "digits"]) == []


# --- the paper's numbers


def test_who_reads_the_registry_of_exhibits_counts_with_its_values_and_never_with_its_claims(lab):
    lab.study("from lab import exhibits")
    lab.write("papers/alpha/exhibits.yaml", "tab1:\n  values: {rows: 3}\n  claims: [{id: x}]\n")
    lab.write("papers/beta/exhibits.yaml", "tab1:\n  values: {rows: 4}\n")
    before = lab.parts()
    assert lab.modules() == {"exhibits.yaml", "papers/alpha/exhibits.yaml"}
    lab.edit("exhibits.yaml", "effect: 0.1", "effect: 0.2")
    lab.edit("exhibits.yaml", "A table", "Another title")
    lab.edit("papers/beta/exhibits.yaml", "4", "5")
    assert lab.parts() == before
    lab.edit("exhibits.yaml", "rate: 0.5", "rate: 0.6")
    after = lab.parts()
    assert {part for part in before if before[part] != after[part]} == {"lab/exhibits.yaml"}


def test_an_unreadable_registry_is_one_clear_line(lab):
    lab.study("from lab import exhibits")
    lab.write("exhibits.yaml", "exhibits: [\n")
    with pytest.raises(BadValue, match=r"^lab/exhibits\.yaml cannot be read as YAML: [^\n]+$"):
        lab.parts()


# --- the same everywhere


def test_processes_hash_seeds_and_what_was_kept_give_the_same(lab, tmp_path, monkeypatch):
    lab.study(BUILD, "from lab import exhibits", "from lab.training import fit")
    code = (
        "import sys, json, pathlib\n"
        "from mtlrepro.results.import_graph import ImportGraph\n"
        "print(json.dumps(ImportGraph(pathlib.Path(sys.argv[1])).closure(sys.argv[2], ['priority'])))"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(lab.package), STUDY],
            capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert json.loads(done.stdout) == lab.parts("priority")
    kept = tmp_path / "code.json"
    first = ImportGraph(lab.package, kept)
    first.closure(STUDY, ["priority"])
    first.keep()
    monkeypatch.setattr("mtlrepro.results.import_graph._read", pytest.fail)  # nothing is read anew
    _KNOWN.clear()
    assert ImportGraph(lab.package, kept).closure(STUDY, ["priority"]) == first.closure(STUDY, ["priority"])


def test_a_syntax_tree_is_the_same_text_in_every_python():
    """Pythons 3.12 and 3.13 have fields that 3.11 has not."""
    tree = ast.parse("@twice\ndef f(x: int) -> u'y':\n    return f'{x}'\n\n\nclass A: ...")
    assert _canonical(tree) == (
        "(Module body=[(FunctionDef name='f' args=(arguments args=[(arg arg='x' annotation=(Name id='int')),]) "
        "body=[(Return value=(JoinedStr values=[(FormattedValue value=(Name id='x') conversion=-1),])),] "
        "decorator_list=[(Name id='twice'),] returns=(Constant value='y')),"
        "(ClassDef name='A' body=[(Expr value=(Constant value=Ellipsis)),]),])"
    )


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}'])
def test_a_damaged_keep_file_costs_reading_alone(lab, tmp_path, content):
    (tmp_path / "code.json").write_text(content)
    graph = ImportGraph(lab.package, tmp_path / "code.json")
    assert graph.closure(STUDY) == lab.parts()
    graph.keep()
    assert ImportGraph(lab.package, tmp_path / "code.json").closure(STUDY) == lab.parts()


# --- this package


ABOVE = (["results"], ["book"], ["cli"], ["doctor"])


def modules_of_ours():
    files = sorted(paths.PACKAGE.rglob("*.py"))
    names = [".".join(["mtlrepro", *file.relative_to(paths.PACKAGE).with_suffix("").parts]) for file in files]
    return [name.removesuffix(".__init__") for name in names]


def test_every_module_of_ours_has_a_closure():
    graph = ImportGraph(paths.PACKAGE)
    assert all(graph.closure(name) or graph.is_neutral(name) for name in modules_of_ours())
    assert "mtlrepro/methods/dtp.py" not in graph.closure("mtlrepro.methods.registry")
    assert "mtlrepro/methods/dtp.py" in graph.closure("mtlrepro.methods.registry", ["dtp"])


def test_what_does_not_count_computes_nothing():
    """Law: the neutral modules below the results import none that counts, so nothing is lost by not following them.

    data.opening imports the loader that a manifest names: what a loader returns has a digest of its own.
    """
    graph, followed = ImportGraph(paths.PACKAGE), ImportGraph(paths.PACKAGE, neutral=("data.opening",))
    empty = ImportGraph(paths.PACKAGE).facts("mtlrepro.models").digest  # a docstring alone
    ground = [name for name in modules_of_ours() if graph.is_neutral(name) and name.split(".")[1:2] not in ABOVE]
    for name in ground:
        for part, digest in followed.closure(name).items():
            module = part.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            assert graph.is_neutral(module) or digest == empty or part.endswith(".yaml"), f"{name} imports {module}"


def test_refusals_give_nothing_but_what_they_are_given():
    """Law: a function whose calls do not count returns nothing, or its first argument; assigns to no argument, keeps nothing."""
    tree = ast.parse((paths.PACKAGE / "refusals.py").read_text())
    named = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    functions = [node for node in named if node.name.startswith(("refuse_", "checked_"))]
    assert len({node.name.partition("_")[0] for node in functions}) == 2
    for function in functions:
        returned = function.args.args[0].arg if function.name.startswith("checked_") else None
        if returned is None:
            assert ast.unparse(function.returns) == "None", function.name
        else:
            assert isinstance(function.body[-1], ast.Return), function.name
        for node in ast.walk(function):
            assert not (isinstance(node, ast.Return) and ast.unparse(node.value or ast.Constant(None)) != str(returned)), (
                function.name
            )
            assert not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == returned), function.name
            assert not isinstance(node, ast.Global | ast.Nonlocal | ast.Delete), function.name
            assert not (isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store)), function.name
    assert [node.name for node in named if not node.name.startswith("_")] == [function.name for function in functions]
