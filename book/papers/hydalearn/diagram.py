"""The diagram on the paper's page."""

from diagrams import arrow, box, curve, picture, text


def draw() -> str:
    """Two fake updates, measured gains, one weighted real update."""
    parts = [
        box(16, 92, 116, 60, ["*θ*_s", "shared parameters"], "d-main"),
        curve("M132 108 C 170 60, 180 52, 226 52", "d-dash"),
        curve("M132 136 C 170 188, 180 194, 226 194", "d-dash"),
        box(228, 26, 146, 52, ["fake step: main", "along the main gradient"], "d-a"),
        box(228, 168, 146, 52, ["fake step: auxiliary", "along the other one"], "d-b"),
        arrow(374, 52, 428, 52),
        arrow(374, 194, 428, 194),
        box(430, 26, 126, 52, ["gain *δ*_m", "on validation data"], "d-plain"),
        box(430, 168, 126, 52, ["gain *δ*_a", "on validation data"], "d-plain"),
        curve("M556 56 C 590 62, 594 84, 610 98"),
        curve("M556 190 C 590 184, 594 162, 610 148"),
        box(606, 98, 140, 50, ["*w*_m : *w*_a", "= *δ*_m : *δ*_a"], "d-main"),
        arrow(604, 123, 136, 123, "d-bold"),
        text(366, 114, "one real step with these weights"),
    ]
    return picture(
        246, "From the shared parameters two fake steps are tried, their gains set the weights of one real step", parts
    )
