"""The code that a module computes from: a digest for every part of it that the module imports.

A **part** is a module, one row of a `MethodTable`, or the paper's numbers in an ``exhibits.yaml``; its digest ignores what
cannot change a number. The closure of a module is every part that it reaches by imports: at the top, inside functions, by
``importlib``, through a package's lazy ``__getattr__``. What is read from the code:

- A module's digest is that of its syntax tree without comments, layout, docstrings, ``__all__``, ``__version__`` and what
  stands under ``if TYPE_CHECKING``. It is the same in every Python that the package supports.
- A statement that only calls a function of `REFUSALS`, with plain names as arguments, does not count: it returns nothing and
  changes nothing, so every row that exists was computed as without it. A call of one of its ``checked_...``, which return their
  first argument as it is, counts as that argument.
- `NEUTRAL` modules say where a run lies, how it is kept, shown and reported. They are neither counted nor followed; of a name
  re-exported by one (``from mtlrepro.results import interval``) the module that defines it is counted.
- A module that imports by a name computed at run time (``import_module(f"mtlrepro.methods.{name}")``) counts with all that it
  could import. If it keeps its names in a `MethodTable`, only those rows count whose name stands in the closure's code or in
  the run's setting. The table refuses every other read during a run, so that no row is computed from what its key lacks.
- A module that imports the registry of exhibits counts with the paper's numbers (``values``) in it, never with its claims,
  gates or titles.

Settings and digests of data are no code: `mtlrepro.results.digest` takes them beside it.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mtlrepro.errors import BadValue, in_one_line
from mtlrepro.files import write_text

# Modules through which no number of a row passes: the ground (where things are, words of errors, whole files), where data sets
# lie (what is in them is the data digest's affair), figures, and all that keeps and reports rows. Intervals are numbers:
# results.intervals counts. The package's own __init__ holds its version.
NEUTRAL = (
    "", "errors", "exhibits", "files", "parameters", "paths", "refusals", "registered_claims", "plots", "plots.*",
    "data", "data.download", "data.manifest", "data.opening", "data.places", "data.schema",
    "results", "results.compare", "results.cost", "results.digest", "results.gates", "results.import_graph", "results.judgement",
    "results.outcomes", "results.page", "results.progress", "results.runs", "results.status", "results.store",
    "results.tables", "results.verdict_box", "book", "book.*", "cli", "doctor",
)  # fmt: skip
# The one of them whose functions change nothing, and return nothing or what they are given: they raise, or nothing happens.
REFUSALS = "refusals"
# Those of them that hand out the paper's numbers.
_READ_VALUES = ("exhibits", "results.compare")

_NO_MEANING = {"__all__", "__version__"}
_LEFT_OUT = {"ctx", "kind", "type_comment", "type_ignores"}
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,60}")


# --- reading one module -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Facts:
    """What one module's source says. A dotted name that ends in ``?`` is handed on as it is.

    lazy, lazy_prefixes, lazy_rows: what a module-level ``__getattr__`` may import, and its table: name asked -> words in it.
    rows: of a `MethodTable`, name -> (digest, words in it). prefixes: where it imports by computed names. unseen: errors, one
    for each import that cannot be followed.
    """

    digest: str
    names: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    rows: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    lazy: list[str] = field(default_factory=list)
    lazy_prefixes: list[str] = field(default_factory=list)
    lazy_rows: dict[str, list[str]] = field(default_factory=dict)
    has_getattr: bool = False
    bound: list[str] = field(default_factory=list)
    imported: dict[str, list[str]] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)


def _read(source: bytes, module: str, is_package: bool, shown: str) -> _Facts:
    """The facts of a module. shown: how messages name it. Raises BadValue where it is not Python in UTF-8."""
    try:
        tree = ast.parse(source)
        tree = _Meaning(tree, f"{module.partition('.')[0]}.{REFUSALS}").visit(tree)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise BadValue(f"{shown}{line} cannot be read as Python: {getattr(error, 'msg', error)}.") from None
    package = module if is_package else module.rpartition(".")[0]
    ours = re.compile(rf"{package.partition('.')[0]}(\.|$)").match
    imported = _bindings(tree, package)
    getattrs = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "__getattr__"]
    rows: dict[str, list[ast.expr]] = {}
    lazy_rows: dict[str, list[ast.expr]] = {}
    rest: list[ast.stmt] = []
    for statement in tree.body:
        name, table, guarded = _table(statement)
        lazily = bool(getattrs) and not guarded and _only_in(getattrs, name, tree)
        if table and (guarded or lazily):
            for key, value in table:
                (rows if guarded else lazy_rows).setdefault(key, []).append(value)
        elif statement not in getattrs:
            rest.append(statement)
    whole, lazy = _Uses(imported, package, shown, rest), _Uses(imported, package, shown, getattrs)
    in_rows = _Uses(imported, package, shown, [value for values in rows.values() for value in values])
    return _Facts(
        digest=text_sha256(_canonical([*rest, *getattrs])),
        names=sorted(whole.names | in_rows.names),
        prefixes=sorted(whole.prefixes | in_rows.prefixes),
        words=sorted(whole.words),
        rows={name: (text_sha256(_canonical(values)), _words(*values)) for name, values in rows.items()},
        lazy=sorted(lazy.names),
        lazy_prefixes=sorted(lazy.prefixes),
        lazy_rows={name: _words(*values) for name, values in lazy_rows.items()},
        has_getattr=bool(getattrs),
        bound=sorted({name for statement in tree.body for name in _bound_by(statement)}),
        imported={name: sorted(targets) for name, targets in imported.items() if any(map(ours, targets))},
        unseen=[*whole.unseen, *lazy.unseen, *in_rows.unseen],
    )


class _Meaning(ast.NodeTransformer):
    """A syntax tree without what cannot change a number. refusals: the module whose functions only refuse."""

    def __init__(self, tree: ast.AST, refusals: str) -> None:
        self.refusals = refusals
        named = [node.names for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == refusals]
        self.refuse = {alias.asname or alias.name for names in named for alias in names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module == self.refusals else node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) or self._refuses(node.value) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        checked = self._refuses(node, first=1) and str(getattr(node.func, "id", "")).startswith("checked_")
        return self.visit(node.args[0]) if checked else self.generic_visit(node)

    def _refuses(self, call: ast.expr, first: int = 0) -> bool:
        """Whether it calls a refusal, its arguments from the `first` on plain names."""
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in self.refuse):
            return False
        given: list[ast.expr] = [*call.args[first:], *(keyword.value for keyword in call.keywords)]
        return all(
            isinstance(part, ast.Constant | ast.Name | ast.Attribute | ast.Load) for one in given for part in ast.walk(one)
        )

    def visit_If(self, node: ast.If) -> Any:
        if "TYPE_CHECKING" in (getattr(node.test, "id", ""), getattr(node.test, "attr", "")):
            return self.visit(ast.Module(node.orelse, [])).body
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        names = [getattr(target, "id", "") for target in node.targets]
        return None if set(names) <= _NO_MEANING else self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Pythons differ in how they cut the constant pieces of an f-string."""
        self.generic_visit(node)
        pieces: list[ast.expr] = []
        for piece in node.values:
            if isinstance(piece, ast.Constant) and pieces and isinstance(pieces[-1], ast.Constant):
                pieces[-1] = ast.Constant(str(pieces[-1].value) + str(piece.value))
            elif not (isinstance(piece, ast.Constant) and piece.value == ""):
                pieces.append(piece)
        return ast.copy_location(ast.JoinedStr(pieces), node)


def _canonical(value: Any) -> str:
    """A syntax tree as text: fields by name, empty ones left out, since Pythons differ in which fields a node has."""
    pieces: list[str] = []

    def write(value: Any) -> None:
        if isinstance(value, ast.AST):
            pieces.append(f"({type(value).__name__}")
            for name in value._fields:
                content = getattr(value, name, None)
                if content is not None and content != [] and name not in _LEFT_OUT:
                    pieces.append(f" {name}=")
                    write(content)
            pieces.append(")")
        elif isinstance(value, list):
            pieces.append("[")
            for item in value:
                write(item)
                pieces.append(",")
            pieces.append("]")
        else:
            pieces.append(ascii(value))

    write(value)
    return "".join(pieces)


def _bindings(tree: ast.AST, package: str) -> dict[str, set[str]]:
    """Local name -> the dotted names that it stands for, of every import in the module, wherever it is."""
    bound: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else []:
            if isinstance(node, ast.ImportFrom):
                local, target = alias.asname or alias.name, f"{_origin(node, package)}.{alias.name}"
            else:
                top = alias.name.partition(".")[0]
                local, target = (alias.asname, alias.name) if alias.asname else (top, top)
            bound.setdefault(local, set()).add(target)
    return bound


def _origin(node: ast.ImportFrom, package: str) -> str:
    """The absolute name that ``from ... import`` names."""
    if not node.level:
        return str(node.module)
    base = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


_IMPORTERS = ("importlib.import_module", "builtins.__import__", "importlib.__import__")


class _Uses(ast.NodeVisitor):
    """The dotted names of ours that some code imports and uses, and the words (short strings) in it."""

    def __init__(self, imported: Mapping[str, set[str]], package: str, shown: str, nodes: Iterable[ast.AST]) -> None:
        self.imported = {"__import__": {"builtins.__import__"}, **imported}
        self.package, self.shown = package, shown
        self.root = package.partition(".")[0]
        self.names: set[str] = set()
        self.prefixes: set[str] = set()
        self.words: set[str] = set()
        self.unseen: list[str] = []
        for node in nodes:
            self.visit(node)

    def _add(self, dotted: str) -> None:
        if dotted.partition(".")[0] == self.root:
            self.names.add(dotted)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        origin = _origin(node, self.package)
        for alias in node.names:
            if alias.name == "*" and origin.partition(".")[0] == self.root:
                self.unseen.append(f"{self.shown}, line {node.lineno} imports everything of {origin}: name what it uses.")
            self._add(f"{origin}.{alias.name}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        dotted = self._dotted(node)
        for name in dotted:
            self._use(name, node)
        if not dotted:
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        for name in self._dotted(node):
            self._use(name, node)

    def _dotted(self, node: ast.expr) -> list[str]:
        """What ``a.b.c`` stands for where ``a`` is an imported name; [] for anything else."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
            node = node.value
        start = self.imported.get(node.id, ()) if isinstance(node, ast.Name) else ()
        return [".".join([target, *names]) for target in start]

    def _use(self, name: str, node: ast.expr) -> None:
        if name in _IMPORTERS:
            self._add_unseen(node)
        self._add(f"{name}.?")

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and _NAME.fullmatch(node.value):
            self.words.add(node.value)

    def visit_keyword(self, node: ast.keyword) -> None:
        self.words.update([node.arg] if node.arg else [])
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if any(name in _IMPORTERS for name in self._dotted(node.func)):
            arguments = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "name")]
            self._import_by_name(arguments[0] if arguments else node)
            for argument in [*node.args, *node.keywords]:
                self.visit(argument)
        else:
            self.generic_visit(node)

    def _import_by_name(self, name: ast.expr) -> None:
        """Add the module named, or what stands before the computed part of its name."""
        pieces: list[ast.expr] = name.values if isinstance(name, ast.JoinedStr) else [name]
        if isinstance(name, ast.BinOp) and isinstance(name.op, ast.Add):
            pieces = [name.left, name.right]
        start = pieces[0].value if pieces and isinstance(pieces[0], ast.Constant) else None
        if not isinstance(start, str) or not start:
            self._add_unseen(name)
            return
        start = self.package + start if start.startswith(".") else start
        if len(pieces) == 1:
            self._add(start)
        elif start.partition(".")[0] == self.root:
            self.prefixes.add(start.rpartition(".")[0])

    def _add_unseen(self, node: ast.expr) -> None:
        self.unseen.append(
            f"{self.shown}, line {node.lineno} imports a module whose name cannot be read from the code: "
            'begin it with its package, as in import_module(f"mtlrepro.methods.{name}").'
        )


def _table(statement: ast.stmt) -> tuple[str, list[tuple[str, ast.expr]], bool]:
    """(name, rows, whether it is a `MethodTable`) of a table by name at a module's top level; else ("", [], False)."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    value: Any = getattr(statement, "value", None)
    guarded = isinstance(value, ast.Call) and getattr(value.func, "id", "") == "MethodTable" and bool(value.args)
    if guarded:
        value = value.args[0]
    if not isinstance(target, ast.Name) or not isinstance(value, ast.Dict):
        return "", [], False
    keys = [key.value if isinstance(key, ast.Constant) else None for key in value.keys]
    if not all(isinstance(key, str) for key in keys):
        return "", [], False
    return target.id, [(str(key), row) for key, row in zip(keys, value.values, strict=True)], guarded


def _only_in(functions: list[ast.FunctionDef], name: str, tree: ast.Module) -> bool:
    """Whether only these functions read the module's `name`."""

    def reads(node: ast.AST) -> int:
        return sum(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load) for n in ast.walk(node))

    return reads(tree) == sum(reads(function) for function in functions)


def _words(*nodes: ast.AST) -> list[str]:
    """The short strings in some code that could be a name."""
    constants = [node.value for start in nodes for node in ast.walk(start) if isinstance(node, ast.Constant)]
    return sorted({text for text in constants if isinstance(text, str) and _NAME.fullmatch(text)})


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement at a module's top level binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)


def text_sha256(text: str) -> str:
    """Hexadecimal sha256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


# --- the graph --------------------------------------------------------------------------------------------------------------


# What this process has read, by content.
_KNOWN: dict[str, Any] = {}


class ImportGraph:
    """The import graph of one package, read from its files; nothing is imported. Each file is read once, when first asked for.

    package: the folder of the package. kept: a file that holds what was read before, by content (`keep` writes it).
    neutral: modules that are neither counted nor followed, named from the package; ``plots.*`` are all below plots.
    """

    def __init__(self, package: Path, kept: Path | None = None, neutral: tuple[str, ...] = NEUTRAL) -> None:
        self.package = package
        self.neutral = neutral
        self.root = package.name
        self.kept = kept
        self._facts: dict[str, _Facts] = {}
        self._files: dict[str, Path | None] = {}
        self._below: dict[Path, list[str]] = {}
        self._walks: dict[tuple[str, frozenset[str]], _Walk] = {}
        self._used: dict[str, Any] = {}

    def closure(self, module: str, names: Iterable[str] = ()) -> dict[str, str]:
        """Part -> digest, of everything that `module` computes from. names: the strings in a run's setting.

        Raises BadValue for a module that does not exist, that is not Python, or that imports by a name that cannot be seen.
        """
        plain = self._walk(module, frozenset())
        names = frozenset(names)
        return dict((self._walk(module, names) if names & plain.may_ask else plain).parts)

    def asked(self, module: str, names: Iterable[str]) -> list[str]:
        """Those of `names` that change the closure of `module`: they name rows or modules of a table that it reaches."""
        return sorted(self._walk(module, frozenset()).may_ask.intersection(names))

    def keep(self) -> None:
        """Write what this graph has read, so that the next process need not read it again."""
        if self.kept is not None and self._used.keys() != self._before.keys():
            with contextlib.suppress(OSError):
                write_text(self.kept, json.dumps(self._used))

    def file(self, module: str) -> Path | None:
        """The file of a module, None where there is none."""
        if module not in self._files:
            base = self.folder(module)
            files = (base / "__init__.py", base.with_name(f"{base.name}.py"))
            self._files[module] = next((file for file in files if file.is_file()), None)
        return self._files[module]

    def is_neutral(self, module: str) -> bool:
        inside = module.partition(".")[2]
        return inside in self.neutral or f"{inside.partition('.')[0]}.*" in self.neutral

    def folder(self, package: str) -> Path:
        return self.package.joinpath(*package.split(".")[1:])

    def below(self, folder: Path) -> list[str]:
        """Dotted names, from `folder`, of all modules and packages below it."""
        if folder not in self._below:
            inside = [file.relative_to(folder).with_suffix("").as_posix().replace("/", ".") for file in folder.rglob("*.py")]
            self._below[folder] = sorted({name.removesuffix(".__init__") for name in inside} - {"__init__"})
        return self._below[folder]

    def shown(self, file: Path) -> str:
        """A file's path as parts and messages name it: from the folder that holds the package."""
        return file.relative_to(self.package.parent).as_posix()

    def facts(self, module: str) -> _Facts | None:
        """What a module's source says; None where it has no file (a namespace package)."""
        file = self.file(module)
        if file is not None and module not in self._facts:
            read = functools.partial(_read, module=module, is_package=file.name == "__init__.py", shown=self.shown(file))
            content = self._remembered(file, f"{module} {file.name}", lambda source: asdict(read(source)))
            self._facts[module] = _Facts(**content)
        return self._facts.get(module)

    def values(self, file: Path) -> str:
        """Digest of the paper's numbers in an exhibits.yaml: every ``values`` in it, by the exhibit's id."""

        def digest(source: bytes) -> str:
            import yaml

            try:
                content = yaml.safe_load(source)
            except yaml.YAMLError as error:
                raise BadValue(f"{self.shown(file)} cannot be read as YAML: {in_one_line(error)}.") from None
            return text_sha256(json.dumps(dict(_values(content, "")), sort_keys=True, default=str))

        return str(self._remembered(file, "values", digest))

    def _walk(self, module: str, names: frozenset[str]) -> _Walk:
        if (module, names) not in self._walks:
            self._walks[module, names] = _Walk(self, module, names)
        return self._walks[module, names]

    def _remembered(self, file: Path, about: str, read: Callable[[bytes], Any]) -> Any:
        source = file.read_bytes()
        key = hashlib.sha256(f"{_own_source()} {about}\0".encode() + source).hexdigest()
        if key not in self._used:
            known = _KNOWN.get(key) or self._before.get(key)
            self._used[key] = _KNOWN[key] = known if known is not None else read(source)
        return self._used[key]

    @functools.cached_property
    def _before(self) -> dict[str, Any]:
        try:
            content = json.loads(self.kept.read_text(encoding="utf-8")) if self.kept is not None else {}
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


class _Walk:
    """One walk through the graph from a module.

    parts: part -> digest, complete when the walk is built. may_ask: names that the tables on the way have rows or modules for.
    """

    def __init__(self, graph: ImportGraph, module: str, names: frozenset[str]) -> None:
        self.graph = graph
        self.start = module
        self.parts: dict[str, str] = {}
        self.may_ask: set[str] = set()
        self._words = set(names)
        self._added: set[str] = set()
        self._asked: set[tuple[str, str]] = set()
        self._tables: list[tuple[str, _Facts]] = []
        if graph.file(module) is None:
            raise BadValue(f"there is no module {module} to take the digest of.")
        self._resolve(module)
        self._read_tables()
        self.parts = dict(sorted(self.parts.items()))

    def _resolve(self, dotted: str) -> None:
        """Add the modules that a dotted name executes, and what the last of them hands out under the rest of it."""
        current, *rest = dotted.split(".")
        self._add(current)
        for name in rest:
            child = f"{current}.{name}"
            exists = name != "?" and (self.graph.file(child) is not None or self.graph.folder(child).is_dir())
            self._ask(current, name, lazily=not exists)
            if not exists:
                return
            self._add(child)
            current = child

    def _add(self, module: str) -> None:
        if module in self._added:
            return
        self._added.add(module)
        if module.partition(".")[2] in _READ_VALUES:
            self._add_values()
        if self.graph.is_neutral(module):
            return
        facts, file = self.graph.facts(module), self.graph.file(module)
        if facts is None or file is None:
            return
        if facts.unseen:
            raise BadValue(facts.unseen[0])
        self.parts[self.graph.shown(file)] = facts.digest
        self._words.update(facts.words)
        for name in facts.names:
            self._resolve(name)
        if facts.rows:
            self._tables.append((module, facts))
        elif facts.prefixes:
            self._resolve_below(facts.prefixes)

    def _ask(self, module: str, name: str, lazily: bool) -> None:
        """What a module hands out under a name: re-exported by a neutral one, or imported by its ``__getattr__``."""
        facts = self.graph.facts(module)
        if facts is None or (module, name) in self._asked:
            return
        self._asked.add((module, name))
        if self.graph.is_neutral(module):
            for asked in facts.imported if name == "?" else [name]:
                for target in facts.imported.get(asked, []):
                    self._resolve(target)
        if facts.has_getattr and lazily and name not in facts.bound:
            for dotted in facts.lazy:
                self._resolve(dotted)
            rows = [words for key, words in facts.lazy_rows.items() if name in (key, "?")]
            self._resolve_below(facts.lazy_prefixes, {word for words in rows for word in words} if facts.lazy_rows else None)

    def _resolve_below(self, prefixes: Iterable[str], among: set[str] | None = None) -> None:
        for prefix in prefixes:
            for inner in self.graph.below(self.graph.folder(prefix)):
                if among is None or inner in among:
                    self._resolve(f"{prefix}.{inner}")

    def _read_tables(self) -> None:
        """Rows that the code or the setting names; they may bring modules that name more."""
        before = -1
        while before != len(self.parts):
            before = len(self.parts)
            for module, facts in list(self._tables):
                file = self.graph.file(module)
                assert file is not None
                asked = {name: row for name, row in facts.rows.items() if name in self._words}
                for name, (digest, _) in asked.items():
                    self.parts[f"{self.graph.shown(file)}[{name}]"] = digest
                self._resolve_below(facts.prefixes, self._words.union(*(words for _, words in asked.values())))
                self.may_ask.update(facts.rows, *(self.graph.below(self.graph.folder(prefix)) for prefix in facts.prefixes))

    def _add_values(self) -> None:
        """The paper's numbers: of the package's registry and of the paper's own (outside of papers: of every paper's)."""
        package = self.graph.package
        inside = self.start.removeprefix(f"{self.graph.root}.papers.")
        paper = "*" if inside == self.start else inside.partition(".")[0]
        for file in [package / "exhibits.yaml", *sorted(package.glob(f"papers/{paper}/exhibits.yaml"))]:
            if file.is_file():
                self.parts[self.graph.shown(file)] = self.graph.values(file)


def _values(node: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, list):
        for number, item in enumerate(node):
            name = item.get("id", number) if isinstance(item, dict) else number
            yield from _values(item, f"{where}/{name}")
    elif isinstance(node, dict):
        for name, item in node.items():
            if name == "values":
                yield f"{where}/values", item
            else:
                yield from _values(item, f"{where}/{name}")


@functools.cache
def _own_source() -> str:
    """Another reader of code reads other facts."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
