"""The diagram on the paper's page."""

from diagrams import arrow, box, curve, picture, text


def draw() -> str:
    """Shared encoder, two decoders, the auxiliary loss split by class, weights fed back from the main loss."""
    parts = [
        box(14, 92, 80, 60, ["image", "256 × 256"], "d-plain"),
        arrow(94, 122, 124, 122),
        box(126, 80, 112, 84, ["encoder", "shared"], "d-main"),
        curve("M238 108 C 262 100, 262 56, 284 56"),
        curve("M238 136 C 262 144, 262 190, 284 190"),
        box(286, 28, 116, 56, ["decoder", "main task"], "d-a"),
        box(286, 162, 116, 56, ["decoder", "auxiliary task"], "d-b"),
        arrow(402, 56, 470, 56),
        arrow(402, 190, 440, 190),
        box(472, 28, 112, 56, ["main loss", "*L*_m"], "d-a"),
        box(442, 128, 190, 112, (), "d-b"),
        text(537, 232, "auxiliary loss, class by class", "d-small"),
    ]
    for number, (name, share) in enumerate((("sky", 0.25), ("road", 0.9), ("tree", 0.1), ("car", 1.0), ("pole", 0.55))):
        x = 455 + 34 * number
        parts.append(f'<rect x="{x}" y="{206 - 56 * share:.1f}" width="22" height="{56 * share:.1f}" class="d-bar"/>')
        parts.append(text(x + 11, 219, name, "d-tiny"))
    parts += [
        text(537, 145, "weights *w*_c", "d-small"),
        curve("M584 56 C 700 56, 720 150, 636 176", "d-bold"),
        text(668, 44, "does class *c*", "d-small"),
        text(684, 60, "help the main loss?", "d-small"),
    ]
    return picture(256, "Two decoders on one encoder; the auxiliary loss has one weight per class, set by the main loss", parts)
