"""Law of what is read from files that anybody may have written: right values or one of the project's own errors, no other."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registered import EXHIBIT

from mtlrepro import exhibits, parameters, paths, results
from mtlrepro.cli import _parameter
from mtlrepro.data import schema
from mtlrepro.errors import BadValue, MtlreproError
from mtlrepro.files import read_yaml
from mtlrepro.parameters import Params

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates() | st.binary(max_size=4)
data = st.recursive(leaves, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=6), each, max_size=3))
# Anything: bytes, text that looks like YAML, and YAML of any shape.
texts = (
    st.binary(max_size=60)
    | st.text(alphabet="ab:-?[]{}#&*!|>%@`\"' \n\t0.e", max_size=60).map(str.encode)
    | data.map(lambda content: yaml.safe_dump(content, allow_unicode=True).encode())
)
anything = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
EXAMPLES = [
    b"2024-13-45",
    b"? [a]\n: 1",
    b"a: &a [*a]",
    b"[" * 500,
    b"\xff\xfe",
    b"!!python/object/apply:os.system [ls]",
    b"1" * 5000,
    # Aliases of aliases: a list of 9^9 entries in nine lines.
    ("a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))).encode(),
]


def one_line(error: MtlreproError) -> None:
    assert "\n" not in str(error), error


def changed(valid: dict) -> st.SearchStrategy:
    """`valid` with one field, at any depth of two, that holds anything."""
    return st.tuples(st.sampled_from(sorted(valid)), data).map(lambda one: yaml.safe_dump(valid | {one[0]: one[1]}).encode())


def read_all(file: Path, content: bytes, read) -> None:
    file.write_bytes(content)
    try:
        read(file)
    except MtlreproError as error:
        one_line(error)


@anything
@given(texts | changed(yaml.safe_load((paths.manifests() / "cifar10.yaml").read_text())))
def test_a_strangers_manifest(tmp_path, content):
    read_all(tmp_path / "cifar10.yaml", content, schema.read_manifest)


@anything
@given(texts | changed(yaml.safe_load((paths.paper(EXHIBIT.paper) / "exhibits.yaml").read_text())))
def test_a_strangers_exhibits(tmp_path, content):
    read_all(tmp_path / "exhibits.yaml", content, exhibits.read)


@anything
@given(
    texts
    | st.dictionaries(st.just(EXHIBIT.id.partition("/")[2]) | st.text(max_size=4), data).map(lambda d: yaml.safe_dump(d).encode())
)
def test_strange_profiles(tmp_path, content):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "paper", lambda key: tmp_path)
        patch.setattr(parameters, "_profiles_file", parameters._profiles_file.__wrapped__)
        read_all(tmp_path / "profiles.yaml", content, lambda file: parameters.profile_values(EXHIBIT.id, "quick"))


@pytest.mark.parametrize("content", EXAMPLES, ids=lambda content: repr(content[:12]))
def test_what_broke_a_reader_once(tmp_path, content):
    for name, read in (("cifar10.yaml", schema.read_manifest), ("exhibits.yaml", exhibits.read)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MtlreproError):
            read(tmp_path / name)


def test_a_field_that_stands_twice_is_refused_and_named(tmp_path):
    """Law: of two values none is taken in silence; aliases are looked at once."""
    file = tmp_path / "profiles.yaml"
    file.write_text("tab1:\n  quick: {seeds: 2}\n  full:\n    seeds: 3\n    seeds: 4\n")
    with pytest.raises(BadValue, match=rf"^{tmp_path.name}/profiles\.yaml:5: seeds: this field appears twice$"):
        read_yaml(file)
    file.write_text("tab1: &same {seeds: 2}\ntab2: *same\n")
    assert read_yaml(file) == {"tab1": {"seeds": 2}, "tab2": {"seeds": 2}}


@pytest.mark.parametrize("value", ["[" * 3000, "{a: " * 3000, "[" + "1, " * 30_000 + "x]"], ids=lambda value: value[:4])
def test_a_value_of_any_depth_or_length_is_refused_in_one_short_line(value):
    with pytest.raises(MtlreproError) as error:
        parameters.check(EXHIBIT.id, {"profile": str, "sizes": int}, dict([_parameter(f"sizes={value}")]))
    one_line(error.value)
    assert len(str(error.value)) < 1000


@given(st.text(max_size=30) | st.text(alphabet="=[]{}:,'\"0123456789.e-", max_size=30))
def test_any_parameter_of_the_command_line(text):
    with contextlib.suppress(MtlreproError):
        _parameter(text)


@given(
    st.dictionaries(
        st.sampled_from(["profile", "show", "seeds", "sizes", "noise"]) | st.text(max_size=5), data | st.just("a'\"\n;x=1")
    )
)
def test_any_value_of_a_parameter(values):
    """Quotes, line ends and code are text, and no text is a number."""
    declared = {"profile": str, "show": str, "seeds": int, "sizes": list[int], "noise": float}
    try:
        p = parameters.check(EXHIBIT.id, declared, values)
    except MtlreproError as error:
        one_line(error)
    else:
        assert p.profile in parameters.PROFILES
        assert isinstance(p.seeds, int)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A record and its table, in a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTLREPRO_RUNS", str(tmp_path_factory.mktemp("runs")))
        results.record(EXHIBIT.id, pd.DataFrame({"x": [1, 2]}), Params(EXHIBIT.id, "quick"), tier="synthetic")
        found = results.latest(EXHIBIT.id, Params(EXHIBIT.id, "quick"))
    file = found.table.with_name(f"{found.table.name.split('.')[0]}.quick.json")
    return SimpleNamespace(file=file, content=file.read_bytes(), table=found.table)


@anything
@given(st.data())
def test_strange_records(recorded, data):
    content = json.loads(recorded.content)
    key = data.draw(st.sampled_from(sorted(content)))
    changed = json.dumps(
        content | {key: data.draw(leaves.filter(lambda value: not hasattr(value, "year") and not isinstance(value, bytes)))}
    )
    recorded.file.write_bytes(data.draw(st.just(changed.encode()) | st.binary(max_size=40)))
    with contextlib.suppress(MtlreproError):
        results.store._read(recorded.file, "this machine")
    recorded.file.write_bytes(recorded.content)


@anything
@given(st.binary(max_size=60))
def test_strange_rows(recorded, content):
    whole = recorded.table.read_bytes()
    recorded.table.write_bytes(content)
    try:
        if content != whole:
            with pytest.raises(MtlreproError):
                results.store._read(recorded.file, "this machine")
    finally:
        recorded.table.write_bytes(whole)


@anything
@given(st.lists(st.binary(max_size=30) | data.map(lambda each: json.dumps(each, default=str).encode()), max_size=4))
def test_a_strange_log_of_runs(tmp_path, lines):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTLREPRO_RUNS", str(tmp_path))
        runs = results.Runs(Params(EXHIBIT.id, "quick"))
        runs.file.parent.mkdir(parents=True, exist_ok=True)
        runs.file.write_bytes(b"\n".join(lines))
        assert runs.finished_runs() == {}
