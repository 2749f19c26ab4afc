"""Every package of requirements.lock that is installed, with its version and the licence that its own metadata state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata

from mtlrepro import paths

# First words of licences under which a package may be used here and what uses it be passed on; NVIDIA's: used alone.
_ALLOWED = """
    MIT MIT-0 MIT-CMU BSD BSD-2-Clause BSD-3-Clause 0BSD Apache Apache-2.0 ISC PSF-2.0 Python Mozilla MPL-2.0 Zlib BSL-1.0 CC0-1.0
    LLVM-exception Public LicenseRef-NVIDIA-Proprietary NVIDIA
"""
ALLOWED = frozenset(_ALLOWED.split())
_JOINING = frozenset(["AND", "OR", "WITH"])
# NVIDIA's package of packages says nothing of its own.
_UNSAID = {"cuda-toolkit": "NVIDIA Proprietary Software"}


@dataclass(frozen=True)
class Package:
    """name, version: as installed. licence: in the package's words, several of them joined by " / "."""

    name: str
    version: str
    licence: str

    @property
    def allowed(self) -> bool:
        """Whether each of its licences begins with a word that is allowed, or an expression is of such words alone."""
        if " / " not in self.licence and (words := set(re.findall(r"[\w.-]+", self.licence))) & _JOINING:
            return words <= ALLOWED | _JOINING
        return all(re.split(r"[ (,]", one.removeprefix("The "))[0] in ALLOWED for one in self.licence.split(" / "))


def names() -> list[str]:
    """The packages that requirements.lock names, for any machine."""
    text = (paths.project() / "requirements.lock").read_text(encoding="utf-8")
    return list(dict.fromkeys(re.findall(r"^([\w.-]+)==", text, re.MULTILINE)))


def installed() -> list[Package]:
    """Those that are installed here; another system's are not."""
    here = {re.sub(r"[-_.]+", "-", each.name).lower(): each for each in metadata.distributions()}
    return [Package(name, here[name].version, _licence(name, here[name])) for name in names() if name in here]


def _licence(name: str, package: metadata.Distribution) -> str:
    said = package.metadata
    if expression := said.get_all("License-Expression"):
        return str(expression[0])
    classes = [line.rpartition(" :: ")[2] for line in said.get_all("Classifier") or [] if line.startswith("License")]
    if classes := [one for one in classes if one != "DFSG approved"]:
        return " / ".join(classes)
    if stated := said.get_all("License"):
        return str(stated[0]).splitlines()[0]
    files = [file for file in package.files or [] if re.match(r"licen[cs]e", file.name, re.IGNORECASE)]
    return files[0].read_text().strip().splitlines()[0] if files else _UNSAID.get(name, "")
