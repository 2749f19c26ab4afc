"""Where things are. No other module builds a path from the environment or from __file__."""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path

import platformdirs

from mtlrepro.errors import MtlreproError

PACKAGE = Path(__file__).resolve().parent


def project() -> Path:
    """The checkout: the folder that holds notebooks/, book/ and data_manifests/.

    Raises MtlreproError where the package is installed without its checkout and the working folder is not one.
    """
    return _checkout(PACKAGE.parent, Path.cwd())


@functools.cache
def _checkout(package: Path, here: Path) -> Path:
    for folder in (package, here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "data_manifests").is_dir():
            return folder
    raise MtlreproError("not inside an mtlrepro checkout: clone the repository and run this from its top folder.")


def notebooks() -> Path:
    return project() / "notebooks"


def paper(key: str) -> Path:
    """The package's folder of one paper."""
    return PACKAGE / "papers" / key


def manifests() -> Path:
    return project() / "data_manifests"


def book() -> Path:
    return project() / "book"


def recorded() -> Path:
    """Committed results, one CSV and one JSON per exhibit and profile."""
    return book() / "results"


def runs() -> Path:
    """Results of runs on this machine, not committed (MTLREPRO_RUNS, default: runs/ in the checkout)."""
    named = os.environ.get("MTLREPRO_RUNS")
    return _expanded(named, "MTLREPRO_RUNS") if named else project() / "runs"


def _expanded(named: str, variable: str) -> Path:
    """A path that may begin with ~. Raises MtlreproError where nobody knows which folder that is."""
    try:
        return Path(named).expanduser()
    except RuntimeError:
        raise MtlreproError(f"this user has no home folder for {named}: set {variable} to a whole path.") from None


def checkpoints() -> Path | None:
    """Where trainings of the run in the making keep their state (MTLREPRO_CHECKPOINTS, set by `results.Runs`), or None."""
    named = os.environ.get("MTLREPRO_CHECKPOINTS")
    return Path(named) if named else None


def cache() -> Path:
    """Downloaded data and derived arrays (MTLREPRO_CACHE, default: the platform's cache folder)."""
    named = os.environ.get("MTLREPRO_CACHE", "")
    with contextlib.suppress(RuntimeError):  # no home folder, which `_expanded` says
        named = named or platformdirs.user_cache_dir("mtlrepro", appauthor=False)
    return _expanded(named or "~/.cache/mtlrepro", "MTLREPRO_CACHE")


def mirror() -> Path | None:
    """A folder that holds data sets in any layout their manifests name (MTLREPRO_MIRROR), or None.

    Raises MtlreproError where the variable names something that is not a folder.
    """
    named = os.environ.get("MTLREPRO_MIRROR")
    if not named:
        return None
    folder = _expanded(named, "MTLREPRO_MIRROR")
    if not folder.is_dir():
        raise MtlreproError(f"MTLREPRO_MIRROR is {named!r}, which is no folder: correct it or unset it.")
    return folder
