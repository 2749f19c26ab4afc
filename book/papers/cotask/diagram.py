"""The diagram on the paper's page."""

from diagrams import box, curve, picture, text


def draw() -> str:
    """Classes of two tasks are merged at random into the classes of a new task."""
    trees, flowers = ("maple", "oak", "palm", "pine", "willow"), ("orchid", "poppy", "rose", "sunflower", "tulip")
    from_tree, from_flower = (3, 0, 4, 2, 1), (1, 4, 0, 2, 3)
    parts = [text(100, 24, "task *i*: trees"), text(380, 24, "a new task, no new labels"), text(660, 24, "task *j*: flowers")]
    for number in range(5):
        y = 40 + 38 * number
        tree, flower = 54 + 38 * from_tree[number], 54 + 38 * from_flower[number]
        parts += [
            box(40, y, 120, 28, trees[number], "d-a"),
            box(600, y, 120, 28, flowers[number], "d-b"),
            curve(f"M160 {y + 14} C 230 {y + 14}, 240 {tree}, 311 {tree}", "d-thin"),
            curve(f"M600 {y + 14} C 530 {y + 14}, 520 {flower}, 449 {flower}", "d-thin d-dash"),
        ]
    for number in range(5):
        names = f"{trees[from_tree.index(number)]} or {flowers[from_flower.index(number)]}"
        parts.append(box(312, 40 + 38 * number, 136, 28, names, "d-main"))
    parts.append(text(380, 252, "trained beside the old tasks, with a head of its own", "d-small"))
    return picture(264, "Five tree classes and five flower classes are joined at random into five new classes", parts)
