"""Tables 5 to 7 of the HydaLearn paper beside the rows of `tab5_settings` and the settings that recorded runs chose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mtlrepro import results
from mtlrepro.papers.hydalearn.compared_methods import METHODS
from mtlrepro.papers.hydalearn.tab5_settings import FANNIE_MAE, SPELLING

OWN = {"share": "main weight", "step_size": "step size"}  # as rows have it
EXHIBITS = {"mortality": "hydalearn/tab1", "mortgage": "hydalearn/tab2"}


def paper(name: str) -> Any:
    """What the appendix prints."""
    return results.paper_values("hydalearn/tab5")[name]


def size_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The toy data, a line per problem and number: paper, ours, difference."""
    here = rows[rows.kind == "toy"].set_index("problem")
    columns = ["training", "validation", "test", "inputs", "outputs"]
    lines = [
        {"problem": problem, "number of": column, "paper": size, "ours": here[column].astype(int)[problem]}
        for problem, sizes in paper("sizes").items()
        for column, size in zip(columns, sizes, strict=True)
    ]
    return pd.DataFrame(lines).assign(difference=lambda table: table["ours"] - table["paper"])


def problem_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The real problems: the paper's data, and ours in the split of one seed."""
    here = rows[rows.kind == "real"]
    printed = pd.DataFrame([paper("problems")[name] for name in here["problem"]], index=here.index)
    sizes = here[["training", "validation", "test"]].astype(int)
    return pd.DataFrame(
        {"problem": here["problem"], "data, paper": printed["data"], "data, ours": here["data"], "rows, paper": printed["rows"]}
        | {f"{part}, ours": sizes[part] for part in sizes}
        | {"inputs, paper": printed["inputs"], "inputs, ours": here["inputs"].astype(int)}
        | {"share of events": here["events"], "auxiliary task": here["auxiliary"]}
    ).reset_index(drop=True)


def network_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Widths of the layers in the text, in the appendix, and ours."""
    lines = []
    for row in rows[rows.kind == "real"].itertuples():
        for i, layers in enumerate(("shared", "head")):
            printed = {place: str(networks[row.problem][i]) for place, networks in paper("networks").items()}
            lines.append({"problem": row.problem, "layers": layers} | printed | {"ours": getattr(row, layers)})
    return pd.DataFrame(lines)


def choice_table(problem: str) -> pd.DataFrame:
    """Learning rate and own parameter of each method: the paper's, and the most frequent choice of the largest recorded run."""
    exhibit = EXHIBITS[problem]
    profiles = results.available(exhibit, committed=True)
    rows = results.load(exhibit, profiles[-1], committed=True).rows if profiles else pd.DataFrame(columns=["method"])
    if len(rows):
        rows = rows[(rows.kind == "seed") & (rows["update"] == "as printed") & (rows.measured_on == "validation")]
    lines = []
    for name, (rate, own) in paper("settings")[problem].items():
        method, chosen = METHODS[name], rows[rows.method == name]
        line = {"method": method.title, "rate, paper": rate, "rate, ours": chosen.rate.mode()[0] if len(chosen) else np.nan}
        line |= {"own parameter, paper": own, "our own parameter": OWN.get(method.parameter, method.parameter) or None}
        lines.append(line | {"its value": chosen.parameter.mode()[0] if method.parameter and len(chosen) else np.nan})
    return pd.DataFrame(lines)


def feature_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Features as Table 7 prints them, and the columns of our loaders of the same data."""
    loaders = rows[rows.kind == "loader"].set_index("data")["columns"].str.split(", ")
    lines = []
    for name in paper("features")["MIMIC-III"]:
        first = name.split()[0]
        lines.append(("MIMIC-III", name, name.replace(first, SPELLING.get(first, first))))
    lines += [("Fannie Mae", name, FANNIE_MAE[name]) for name in paper("features")["Fannie Mae"]]
    lines = [(data, name, column if column in loaders[data] else None) for data, name, column in lines]
    return pd.DataFrame(lines, columns=["data", "printed", "our loader's column"])


def stand_in_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns that the data of this book's runs have."""
    return rows.loc[rows.kind == "real", ["problem", "data", "columns"]].reset_index(drop=True)
