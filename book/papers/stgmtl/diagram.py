"""The diagram on the paper's page."""

import numpy as np
from diagrams import arrow, box, curve, picture, text


def draw() -> str:
    """Train once; a data map per task; group tasks whose maps are alike; train one model per group."""
    rng = np.random.default_rng(3)
    parts = [box(12, 92, 118, 62, ["one training", "of all tasks"], "d-main"), arrow(130, 123, 164, 123)]
    shapes = ((0.75, 0.12), (0.72, 0.13), (0.35, 0.32))
    for number, (level, spread) in enumerate(shapes):
        x, y = 168, 14 + 76 * number
        confidence = np.clip(rng.normal(level, 0.16, 46), 0.04, 0.98)
        deviation = np.clip(spread * 2 * confidence * (1 - confidence) * 2 + rng.normal(0, 0.02, 46), 0.01, 0.45)
        parts.append(f'<rect x="{x}" y="{y}" width="126" height="62" rx="4" class="d-box d-plain"/>')
        kind = "d-dot-a" if number < 2 else "d-dot-b"
        for c, d in zip(confidence, deviation, strict=True):
            px, py = x + 8 + 110 * d / 0.46, y + 56 - 50 * c
            if number < 2:
                parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2" class="{kind}"/>')
            else:
                parts.append(f'<path d="M{px - 2:.1f} {py - 2:.1f}l4 4m0 -4l-4 4" class="{kind}"/>')
        parts.append(curve(f"M294 {y + 31} C 320 {y + 31}, 326 {y + 31}, 352 {88 if number < 2 else 186}"))
    parts.append(text(231, 250, "a data map per task: confidence, variability", "d-small"))
    for x, y, label, kind, shares in (
        (354, 58, "group 1", "d-a", (0.9, 0.85, 0.2)),
        (354, 156, "group 2", "d-b", (0.1, 0.15, 0.8)),
    ):
        parts.append(box(x, y, 150, 62, (), kind))
        parts.append(text(x + 42, y + 36, label))
        for number, share in enumerate(shares):
            parts.append(
                f'<rect x="{x + 88 + 19 * number}" y="{y + 52 - 40 * share:.1f}" '
                f'width="13" height="{40 * share:.1f}" class="d-bar"/>'
            )
        parts.append(arrow(504, y + 31, 548, y + 31))
        parts.append(box(550, y, 108, 62, [f"model {label[-1]}", "losses weighted"], kind))
        parts.append(curve(f"M658 {y + 31} C 676 {y + 31}, 676 138, 690 138"))
    parts += [box(692, 112, 58, 52, ["output"], "d-main"), text(575, 250, "bars: memberships *u*_t of the tasks", "d-small")]
    return picture(
        264, "One training gives a data map per task; alike maps form groups; each group trains a weighted model", parts
    )
