"""The diagram on the paper's page."""

from diagrams import arrow, box, ellipse, picture, text


def draw() -> str:
    """Shared module with task modules; two tasks whose data are aligned, and two whose data are not."""
    parts = []
    for number, y in enumerate((30, 100, 170), 1):
        name = "k" if number == 3 else str(number)
        parts += [
            box(20, y, 92, 44, [f"*X*_{name}", "task data"], "d-a" if number == 1 else "d-b"),
            arrow(112, y + 22, 166, 100 + 22 + (number - 2) * 18),
            arrow(276, 100 + 22 + (number - 2) * 18, 330, y + 22),
            box(332, y, 60, 44, f"*A*_{name}", "d-a" if number == 1 else "d-b"),
        ]
    parts += [box(168, 62, 108, 120, ["*B*", "shared module", "*r* columns"], "d-main")]
    parts += [text(214, 238, "one shared module, one small module per task", "d-small")]
    for x, degrees, label, note in ((490, 25, "aligned data", "source helps"), (660, 115, "misaligned data", "source may hurt")):
        parts += [
            ellipse(x, 118, 74, 22, 25, "d-ellipse-a"),
            ellipse(x, 118, 66, 15, degrees, "d-ellipse-b"),
            text(x, 28, label),
            text(x, 238, note, "d-small"),
        ]
    parts += [text(575, 208, "solid: target, dashed: source", "d-small")]
    return picture(256, "Task data pass a shared module B and task modules A; data covariances may agree or differ", parts)
