"""The README's first cell for Colab, in an IPython of its own: it clones, installs, and the package is the clone's."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell(sys.argv[1]).raise_error()
shell.run_cell("import mtlrepro, mtlrepro.paths; print(mtlrepro.__file__, mtlrepro.paths.notebooks())").raise_error()
"""


@pytest.mark.slow
def test_the_first_cell_in_colab_clones_and_installs_and_the_package_is_that_of_the_clone(tmp_path):
    cell = re.search(r"In Colab, the first cell:\n\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    packages = sysconfig.get_path("purelib", "venv", {"base": str(environment), "platbase": str(environment)})
    # Colab brings most packages itself; here those of this environment stand in, and nothing is fetched.
    Path(packages, "colab.pth").write_text(sysconfig.get_path("purelib") + "\n")
    nothing_fetched = {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    done = subprocess.run(
        [environment / "bin" / "python", "-c", SHELL, cell.replace("ADDRESS-OF-THE-CLONE", ROOT.as_uri())],
        cwd=tmp_path,
        env={**os.environ, **nothing_fetched, "IPYTHONDIR": str(tmp_path / "ipython")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    clone = tmp_path / "mtlrepro"
    assert done.stdout.split()[-2:] == [str(clone / "mtlrepro" / "__init__.py"), str(clone / "notebooks")]
    assert list(Path(packages).glob("mtlrepro-*.dist-info/direct_url.json"))
