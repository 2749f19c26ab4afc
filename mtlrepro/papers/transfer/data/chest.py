"""Chest X-rays as same-image binary tasks: ChestX-ray14 (Wang and others 2017), whole or as a public subset of 1,000 images.

Each image has up to 14 findings, mined from radiology reports, so noisy. Patients have several images: split by patient.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mtlrepro.data.binary_tasks import TaskSet
from mtlrepro.data.places import Located, arrays_sha256, check_arrays, locate
from mtlrepro.data.tables import text_table
from mtlrepro.errors import BadValue, DataCorrupt
from mtlrepro.files import decoded

FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax", "Consolidation",
    "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
)  # fmt: skip
_SIDE, _TILES = 64, 100
_NOTHING = "No Finding"


@dataclass(frozen=True, eq=False)
class ChestXrays(TaskSet):
    """n X-rays, images (n, side, side, 1), with the patient's number of each (n,) and whether it is of the official test part
    (n,), where there is one."""

    patients: NDArray[np.int64] = None  # type: ignore[assignment]  # fields of a subclass need a default; always given
    official_test: NDArray[np.bool_] | None = None

    def of(self, rows: ArrayLike | None = None, tasks: object = None) -> ChestXrays:
        """As `TaskSet.of`; patients go with their images."""
        kept = super().of(rows, tasks)  # type: ignore[arg-type]
        assert isinstance(kept, ChestXrays)
        chosen = slice(None) if rows is None else np.asarray(rows)
        official = None if self.official_test is None else self.official_test[chosen]
        return replace(kept, patients=self.patients[chosen], official_test=official)


def _chest_xrays(name: str, images: NDArray[np.uint8], labels: NDArray[np.uint8], patients: NDArray[np.int64], place: Located,
          sha256: str, official_test: NDArray[np.bool_] | None) -> ChestXrays:  # fmt: skip
    return ChestXrays(
        name, images, labels, FINDINGS, ("finding",) * len(FINDINGS), np.ones(len(FINDINGS)), sha256, place.manifest.tier,
        place.partial, patients, official_test,
    )  # fmt: skip


def load_nih64(mirror: Path | None = None) -> ChestXrays:
    """The public subset: 1,000 images of 64 x 64 of 264 patients. Raises DataMissing, DataCorrupt."""
    place = locate("nih64", mirror)
    strips = []
    with zipfile.ZipFile(io.BytesIO(place.read("all-00.zip"))) as archive:
        for info in sorted(archive.infolist(), key=lambda i: i.filename):
            with Image.open(io.BytesIO(archive.read(info)), formats=("WEBP",)) as image:
                if image.width != _SIDE or image.height > _TILES * _SIDE or image.height % _SIDE:
                    raise DataCorrupt(f"nih64: a strip of {image.width} x {image.height} pixels.")
                strips.append(np.asarray(image.convert("RGB"))[..., :1].reshape(-1, _SIDE, _SIDE, 1))
    arrays = {"images": np.ascontiguousarray(np.concatenate(strips))}
    arrays |= {key: np.load(io.BytesIO(place.read(f"all-{key}.npy")), allow_pickle=False) for key in ("label", "patient")}
    digest = check_arrays(place, arrays)
    return _chest_xrays("nih64", arrays["images"], arrays["label"], arrays["patient"].astype(np.int64), place, digest, None)


def read_entries(file: Path) -> pd.DataFrame:
    """The official table of ChestX-ray14: name of each image, its patient, and its 14 findings as 0 or 1, indexed by line.

    Raises DataCorrupt for a table without the needed columns, findings that are none of the 14, a patient
    without number, or an image that stands twice or whose name is a path.
    """
    wanted = ["Image Index", "Finding Labels", "Patient ID"]
    table = text_table(file.read_bytes(), file, wanted)
    known = set(FINDINGS)
    right = table["Patient ID"].str.fullmatch(r"\d{1,15}") & table["Image Index"].str.fullmatch(r"[^/\\:]+")
    right &= ~table["Image Index"].duplicated()
    right &= table["Finding Labels"].map(lambda names: names == _NOTHING or known.issuperset(names.split("|"))).astype(bool)
    if not right.all():
        row = int(right.to_numpy().argmin())
        shown = ", ".join(table[wanted].iloc[row])
        raise DataCorrupt(
            f"{file}, line {table.index[row]}: no new image with known findings and the number of a patient: {shown}."
        )
    marks = table["Finding Labels"].str.get_dummies("|").reindex(columns=list(FINDINGS), fill_value=0).astype(np.uint8)
    return marks.assign(image=table["Image Index"], patient=table["Patient ID"].astype(np.int64))


def official_test(entries: pd.DataFrame, train_list: Path, test_list: Path) -> NDArray[np.bool_]:
    """(n,), which of the entries are of the official test part.

    Raises DataCorrupt unless each list names images of the table, every image stands in just one list, and no patient in both.
    """
    rows = {name: row for row, name in enumerate(entries["image"])}
    part = np.zeros(len(entries), np.int64)
    for number, file in enumerate((train_list, test_list), start=1):
        for line, name in _names(file):
            row = rows.get(name)
            if row is None:
                raise DataCorrupt(f"{file}, line {line}: {name!r} is no image of the official table.")
            if part[row]:
                raise DataCorrupt(f"{file}, line {line}: {name} stands in a list already.")
            part[row] = number
    if not part.all():
        raise DataCorrupt(
            f"{entries['image'].iloc[int(part.argmin())]} stands in neither {train_list} nor {test_list.name}; is one cut off?"
        )
    both = set(entries["patient"][part == 1]) & set(entries["patient"][part == 2])
    if both:
        raise DataCorrupt(f"{test_list}: images of patient {min(both)} stand in both lists.")
    test: NDArray[np.bool_] = part == 2
    return test


def _names(file: Path) -> list[tuple[int, str]]:
    """Lines that are not blank, with their numbers."""
    lines = decoded(file.read_bytes(), file).splitlines()
    return [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]


def load_chestxray14(side: int = 224, limit: int | None = None, mirror: Path | None = None) -> ChestXrays:
    """ChestX-ray14 in its official layout, in order of the official table, each image shrunk to `side` x `side` grey pixels.

    limit: only the first so many images; the official lists are checked whole. Memory: n * side^2 bytes, 5.6 GB for all at 224.
    Raises DataMissing (with the steps to get it), DataCorrupt (file and line), BadValue.
    """
    if side < 8 or (limit is not None and limit < 1):
        raise BadValue(f"side is at least 8 and limit at least 1, not {side} and {limit}.")
    place = locate("chestxray14", mirror)
    table = place.check("Data_Entry_2017_v2020.csv")
    entries = read_entries(table)
    test = official_test(entries, place.check("train_val_list.txt"), place.check("test_list.txt"))[:limit]
    entries = entries.head(len(test))
    images = np.empty((len(entries), side, side, 1), np.uint8)
    for row, name in enumerate(entries["image"]):
        file = place.folder / "images" / name
        if not file.is_file():
            raise DataCorrupt(f"{file} is not there, and stands in {table}, line {entries.index[row]}.")
        try:
            with Image.open(file, formats=("PNG",)) as image:
                if image.mode not in ("L", "LA", "P", "RGB", "RGBA"):
                    raise DataCorrupt(f"{file} has pixels of kind {image.mode}, not of 8 bits.")
                images[row, ..., 0] = np.asarray(image.convert("L").resize((side, side), Image.Resampling.BILINEAR))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataCorrupt(f"{file} is no whole PNG: {' '.join(str(error).split())}.") from None
    labels, patients = entries[list(FINDINGS)].to_numpy(np.uint8), entries["patient"].to_numpy(np.int64)
    digest = arrays_sha256({"images": images, "label": labels, "patient": patients})
    return _chest_xrays("chestxray14", images, labels, patients, place, digest, test)


def patient_split(xrays: ChestXrays, seed: int) -> dict[str, NDArray[np.int64]]:
    """Row numbers of 'train', 'valid' and 'test', in random order, no patient in two of them.

    60/20/20 of the patients; where there is an official test part, that, and a tenth of the other patients for validation.
    """
    rng = np.random.default_rng([seed, 14])
    test = xrays.official_test
    free = np.unique(xrays.patients if test is None else xrays.patients[~test])
    order = rng.permutation(free)
    if test is None:
        fifth = len(order) // 5
        groups = {"train": order[2 * fifth :], "valid": order[fifth : 2 * fifth], "test": order[:fifth]}
        rows = {name: np.flatnonzero(np.isin(xrays.patients, patients)) for name, patients in groups.items()}
    else:
        held = np.isin(xrays.patients, order[: max(1, len(order) // 10)])
        rows = {"train": np.flatnonzero(~test & ~held), "valid": np.flatnonzero(~test & held), "test": np.flatnonzero(test)}
    return {name: rng.permutation(part).astype(np.int64) for name, part in rows.items()}
