"""Laws of what the lock installs: every package says its licence, and is free to be used; copyleft comes with one extra alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

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


@pytest.mark.slow
def test_the_bill_of_materials_has_every_installed_package_of_the_lock_and_the_licences_that_are_known(tmp_path):
    """Laws: CycloneDX, which its tool validates; versions are those of the lock. Without a network, by the tool of uv's cache."""
    words = ["make", "-o", f"{sys.prefix}/installed", "-f", str(paths.project() / "Makefile"), "sbom", f"VENV={sys.prefix}"]
    done = subprocess.run(words, cwd=tmp_path, env=os.environ | {"UV_OFFLINE": "1"}, capture_output=True, text=True, check=False)
    if done.returncode and "network was disabled" in done.stderr:
        pytest.skip("cyclonedx-bom is not in uv's cache: make sbom brings it")
    assert done.returncode == 0, done.stderr
    bill = json.loads((tmp_path / "runs" / "sbom.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    found = {re.sub(r"[-_.]+", "-", each["name"]).lower(): each for each in bill["components"]}
    pinned = set(re.findall(r"^([\w.-]+)==([^\s;]+)", (paths.project() / "requirements.lock").read_text(), re.MULTILINE))
    here = licences.installed()
    assert {(package.name, found[package.name]["version"]) for package in here} <= pinned
    unsaid = [package for package in here if not found[package.name].get("licenses")]
    assert all(package.licence for package in unsaid), "the book's list states those that only a package's free text names"
    assert len(unsaid) < 0.1 * len(here)


def test_packages_under_the_gpl_are_named_in_the_book():
    text = (paths.book() / "rerunning.md").read_text()
    assert all(f"`{name}`" in text for name in SOLVERS)


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
