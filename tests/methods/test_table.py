"""Laws of the table of methods: a run reads what its key holds and nothing else."""

from __future__ import annotations

import pytest

from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods.table import MethodTable, reading_only

TABLE = MethodTable({"dtp": 1, "dwa": 2})


def test_outside_of_runs_it_is_a_mapping():
    assert dict(TABLE) == {"dtp": 1, "dwa": 2}
    assert list(TABLE) == ["dtp", "dwa"]
    assert len(TABLE) == 2
    assert "dtp" in TABLE
    assert "famo" not in TABLE
    with pytest.raises(UnknownName, match="did you mean 'dwa'"):
        TABLE["dwaa"]


def test_a_run_reads_the_rows_of_its_key():
    with reading_only(["dtp"]):
        assert TABLE["dtp"] == 1
        with pytest.raises(UnknownName, match="dwaa"):
            TABLE["dwaa"]
        with pytest.raises(BadValue, match=r"reads weighting method 'dwa', which neither its setting nor its code names"):
            TABLE["dwa"]
    assert TABLE["dwa"] == 2


@pytest.mark.parametrize("read", [list, len, dict, lambda table: list(table.items()), lambda table: table.get("dwa")])
def test_a_run_cannot_list_rows_that_its_key_lacks(read):
    with reading_only(["dtp"]), pytest.raises(BadValue, match="'dwa'"):
        read(TABLE)
    with reading_only(["dtp", "dwa"]):
        read(TABLE)


def test_a_failed_run_leaves_the_table_open():
    with pytest.raises(ZeroDivisionError), reading_only([]):
        1 / 0  # noqa: B018
    assert TABLE["dwa"] == 2


def test_no_module_of_ours_may_read_it_while_it_is_imported():
    """What a module kept from then would be in no key."""
    code = compile("kept = [table['dtp'] for _ in range(1)]", "study.py", "exec")
    with pytest.raises(BadValue, match=r"^mtlrepro\.papers\.alpha\.study reads the table"):
        exec(code, {"__name__": "mtlrepro.papers.alpha.study", "table": TABLE})
    exec(code, {"__name__": "__main__", "table": TABLE})
