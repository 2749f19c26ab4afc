"""Tables for two tasks: seeded splits, and a preparation that is fitted on the training rows alone.

In a feature table (n, columns) float columns are continuous, NaN where missing; every other column holds categories,
"unknown" where missing. No validation or test row is looked at before the preparation is fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from mtlrepro.data.schema import Tier
from mtlrepro.errors import BadValue

UNKNOWN = "unknown"  # the category of a missing category


# --- splits -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the three parts, each (rows,) int64 and sorted; no row, and no group, is in two parts."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def split(
    main: NDArray[Any],
    seed: int,
    groups: NDArray[Any] | None = None,
    validation: float = 0.15,
    test: float = 0.15,
    official_test: NDArray[np.bool_] | None = None,
) -> Split:
    """A random split of n rows, stratified by the 0/1 main label; rows of one group (a patient) stay together.

    `main` and `groups`: (n,); `validation` and `test`: shares of the groups. A group counts as 1 where one of its rows
    does. `official_test` (n,): rows that are the test part whatever `test`; the others are split in the same proportion.
    Raises BadValue where the shares leave nothing, a label is too rare to be in every part, or a group is on both sides.
    """
    if validation <= 0 or test <= 0 or validation + test >= 1:
        raise BadValue(f"validation and test are above 0 and together below 1, not {validation} and {test}.")
    labels = np.asarray(main)
    _, member = np.unique(np.arange(len(labels)) if groups is None else groups, return_inverse=True)
    if len(member) != len(labels):
        raise BadValue(f"{len(labels)} labels, but {len(member)} groups.")
    positive = np.zeros(int(member.max(initial=-1)) + 1, bool)
    np.logical_or.at(positive, member, labels == 1)
    every = np.arange(len(positive))
    try:
        if official_test is None:
            rest, held = train_test_split(every, test_size=test, stratify=positive, random_state=seed)
        else:
            rest, held = np.unique(member[~official_test]), np.unique(member[official_test])
            if len(rest) + len(held) > len(every):
                raise BadValue("a group of the official test part has rows outside it.")
        share = validation / (1 - test)
        kept, chosen = train_test_split(rest, test_size=share, stratify=positive[rest], random_state=seed)
    except ValueError:
        counts = f"{len(positive)} groups, {positive.sum()} of them with main label 1"
        raise BadValue(f"{counts}: too few for parts of {validation:g} and {test:g}.") from None
    return Split(*(np.flatnonzero(np.isin(member, part)) for part in (kept, chosen, held)))


# --- preparation ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Preparation:
    """Imputation, standardisation and one-hot coding, fitted by `fit`; `names` are the d columns it gives."""

    transformer: ColumnTransformer
    names: tuple[str, ...]
    columns: tuple[str, ...]

    @classmethod
    def fit(
        cls,
        train: pd.DataFrame,
        fill: Mapping[str, float] | None = None,
        strategy: Literal["median", "mean"] = "median",
        indicators: bool = True,
        clip: float | None = 5.0,
        rare: int = 10,
    ) -> Self:
        """Fit on the training rows (n, columns).

        Continuous columns: missing values become the column's entry in `fill` or else its training median (or mean),
        then mean 0 and deviation 1 on the training rows, cut at +-`clip`. `indicators` adds a 0/1 column for each one
        with missing training values. Categories become 0/1 columns, those in fewer than `rare` training rows, and those
        never seen there, one column together. Raises BadValue where there are no rows or a filled column does not exist.
        """
        numbers = [c for c in train if pd.api.types.is_float_dtype(train[c])]
        categories = [c for c in train if c not in numbers]
        if strange := sorted(set(fill or {}) - set(numbers)):
            raise BadValue(f"no continuous column {strange[0]!r} to fill.")
        if not len(train):
            raise BadValue("a preparation is fitted on at least one training row.")
        steps = [
            FunctionTransformer(pd.DataFrame.fillna, kw_args={"value": dict(fill or {})}, feature_names_out="one-to-one"),
            SimpleImputer(strategy=strategy, keep_empty_features=True),
            StandardScaler(),
        ]
        if clip is not None:
            limits = {"a_min": -clip, "a_max": clip}
            steps.append(FunctionTransformer(np.clip, kw_args=limits, feature_names_out="one-to-one"))
        one_hot = OneHotEncoder(min_frequency=rare, handle_unknown="infrequent_if_exist", sparse_output=False)
        parts = [("number", make_pipeline(*steps), numbers)]
        if indicators:
            parts.append(("missing", MissingIndicator(features="missing-only", error_on_new=False), numbers))
        parts.append(("category", one_hot, categories))
        transformer = ColumnTransformer([part for part in parts if part[2]], verbose_feature_names_out=False).fit(train)
        return cls(transformer, tuple(transformer.get_feature_names_out()), tuple(map(str, train.columns)))

    def __call__(self, features: pd.DataFrame) -> torch.Tensor:
        """Rows (n, columns) as a tensor (n, d), float32. Raises BadValue where the columns are others."""
        if tuple(features.columns) != self.columns:
            raise BadValue("the columns are not those that the preparation was fitted on.")
        return torch.from_numpy(np.asarray(self.transformer.transform(features), np.float32))


@dataclass(frozen=True)
class Standardized:
    """A continuous target on the scale (transform(y) - mean) / deviation, with both taken from the training rows."""

    mean: float
    deviation: float
    log: bool

    @classmethod
    def fit(cls, train: NDArray[Any], log: bool = True) -> Self:
        """`log`: log(1 + y) first, for y >= 0 with a long tail, such as days."""
        values = np.log1p(train.astype(float)) if log else train.astype(float)
        return cls(float(values.mean()), float(values.std()) or 1.0, log)

    def __call__(self, target: NDArray[Any]) -> NDArray[np.float64]:
        values = np.log1p(target.astype(float)) if self.log else target.astype(float)
        return np.asarray((values - self.mean) / self.deviation)

    def inverse(self, scaled: NDArray[Any]) -> NDArray[np.float64]:
        """Back to the target's own unit."""
        values = np.asarray(scaled, float) * self.deviation + self.mean
        return np.expm1(values) if self.log else values


# --- two tasks --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of one part: `x` (n, d), `main` (n,) in {0, 1} and `auxiliary` (n,), all float32; `rows` (n,) int64 in the table."""

    x: torch.Tensor
    main: torch.Tensor
    auxiliary: torch.Tensor
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class TwoTask:
    """A main classification task with an auxiliary one, split and prepared.

    `names`: the d inputs; `auxiliary_kind`: binary (0/1) or regression (standardised on the training rows, undone by
    `scale.inverse`). `sha256` is that of the source data; `tier` says what the data are.
    """

    name: str
    train: Part
    validation: Part
    test: Part
    names: tuple[str, ...]
    auxiliary_kind: Literal["binary", "regression"]
    preparation: Preparation
    scale: Standardized | None
    sha256: str
    tier: Tier

    @property
    def d(self) -> int:
        return len(self.names)


def two_task(
    name: str,
    features: pd.DataFrame,
    main: NDArray[Any],
    auxiliary: NDArray[Any],
    parts: Split,
    *,
    sha256: str,
    tier: Tier,
    regression: bool = False,
    log: bool = True,
    **preparation: Any,
) -> TwoTask:
    """Fit the preparation on `parts.train` and apply it to the three parts.

    `features` (n, columns), `main` and `auxiliary` (n,). With `regression` the auxiliary target is standardised, as a
    logarithm by default (`Standardized`). Other keywords go to `Preparation.fit`. Raises BadValue.
    """
    if not len(features) == len(main) == len(auxiliary):
        raise BadValue(f"{len(features)} rows of features, {len(main)} of the main and {len(auxiliary)} of the auxiliary target.")
    prepare = Preparation.fit(features.iloc[parts.train], **preparation)
    scale = Standardized.fit(auxiliary[parts.train], log) if regression else None

    def part(rows: NDArray[np.int64]) -> Part:
        second = auxiliary[rows] if scale is None else scale(auxiliary[rows])
        return Part(prepare(features.iloc[rows]), _tensor(main[rows]), _tensor(second), rows)

    kind: Literal["binary", "regression"] = "regression" if regression else "binary"
    train, validation, test = (part(rows) for rows in (parts.train, parts.validation, parts.test))
    return TwoTask(name, train, validation, test, prepare.names, kind, prepare, scale, sha256, tier)


def _tensor(values: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


def table_arrays(table: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Canonical arrays of a table: `numbers` (n, numeric columns) float64, `words` (bytes,) uint8, the others as text."""
    numeric = [c for c in table if pd.api.types.is_numeric_dtype(table[c])]
    words = ["\n".join(map(str, table[c])) for c in table if c not in numeric]
    joined = np.frombuffer("\n\n".join(words).encode(), np.uint8)
    return {"numbers": table[numeric].to_numpy(np.float64), "words": joined}
