"""Laws of what the lock installs: every package says its licence, and is free to be used; copyleft comes with one extra alone."""

from __future__ import annotations

import re

import pytest

from mtlrepro import paths
from mtlrepro.book import licences
from mtlrepro.book.licences import Package

# Solvers of the extra `torchjd`. Of docutils, an editor's mode that is not installed is under the GPL.
SOLVERS = {"quadprog", "qpsolvers"}


def test_every_package_that_the_lock_installs_is_under_a_licence_that_is_allowed():
    here = licences.installed()
    assert len(here) > 0.9 * len(licences.names())
    odd = {package.name: package.licence for package in here if not package.allowed}
    assert set(odd) <= SOLVERS | {"docutils"}, odd


def test_packages_under_the_gpl_are_asked_for_by_the_extra_torchjd_alone():
    lock = (paths.project() / "requirements.lock").read_text()
    project = (paths.project() / "pyproject.toml").read_text()
    for name in SOLVERS:
        needing = re.search(rf"^{name}==.*\n((?: +#.*\n)+)", lock, re.MULTILINE)[1]
        assert set(re.findall(r"#\s+(?:via )?(\S+)", needing)) - {"via"} <= {"torchjd", "mtlrepro", *SOLVERS}, name
        assert name not in project or name in project.partition("\ntorchjd = [")[2].partition("\n]")[0]


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT License", True), ("BSD-3-Clause AND MIT", True), ("Apache Software License / BSD License", True), ("", False),
        ("GPLv3", False), ("MIT AND GPL-3.0", False), ("MIT License / GNU General Public License (GPL)", False),
        ("Apache-2.0 WITH LLVM-exception", True), ("BSD-2-Clause OR LGPL-3.0", False), ("Commons Clause", False),
    ],
)  # fmt: skip
def test_a_licence_is_allowed_only_if_each_of_its_parts_is(licence, allowed):
    assert Package("a", "1", licence).allowed is allowed
