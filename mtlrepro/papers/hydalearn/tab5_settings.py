"""Tables 5 to 7 of the HydaLearn paper: what our loaders and networks hold of what its appendix lists."""

from __future__ import annotations

from typing import Any

from mtlrepro.papers.hydalearn.data import clinical, mortgage, toys
from mtlrepro.papers.hydalearn.tab1_tab2_real_data import PROBLEMS, source

# Features as Table 7 prints them -> columns of our loader.
FANNIE_MAE = {
    "seller": "seller", "servicer": "servicer", "loan purpose": "purpose", "first time home-buyer": "first_time_buyer",
    "channel": "channel", "PPM": "prepayment_penalty", "occupancy": "occupancy", "product type": "product",
    "property state": "state", "property type": "property", "MSA": "msa", "units": "units", "CLTV": "cltv", "DTI": "dti",
    "UPB": "balance", "LTV": "ltv", "interest rate": "rate", "loan term": "term", "num borrowers": "borrowers",
    "credit score": "score", "6 months to maturity": "months_to_maturity",
}  # fmt: skip
SPELLING = {"glascow": "glasgow", "hearth": "heart"}


def facts(seed: int = 0) -> list[dict[str, Any]]:
    """Rows "toy", one per toy problem; "real", one per real one, of the split of `seed`; "loader", one per gated data set.

    events: share of the training rows. columns: names in one text.
    """
    rows: list[dict[str, Any]] = []
    for kind in toys.SIZES:
        parts = toys.toy(kind, [seed])
        sizes = dict(zip(("training", "validation", "test"), (part.x.shape[1] for part in parts), strict=True))
        rows.append(
            {"kind": "toy", "problem": kind} | sizes | {"inputs": parts.train.x.shape[2], "outputs": parts.train.main.shape[2]}
        )
    for name, problem in PROBLEMS.items():
        task = problem.prepare(source(name), seed)
        row = {"kind": "real", "problem": name, "data": task.name, "inputs": task.d, "auxiliary": task.auxiliary_kind}
        row |= {"training": len(task.train), "validation": len(task.validation), "test": len(task.test)}
        row |= {
            "events": round(task.train.main.mean().item(), 5),
            "shared": str(list(problem.shared)),
            "head": str(list(problem.head)),
        }
        rows.append(row | {"columns": ", ".join(source(name).features.columns)})
    rows.append({"kind": "loader", "data": "Fannie Mae", "columns": ", ".join(mortgage.TABLE_7)})
    mimic = {
        "kind": "loader",
        "data": "MIMIC-III",
        "columns": ", ".join(clinical.VARIABLES),
        "inputs": len(clinical.feature_names()),
    }
    return [*rows, mimic]


def data() -> dict[str, str]:
    """Name -> sha256 of the tables that `facts` describes."""
    return {source(name).name: source(name).sha256 for name in PROBLEMS}
