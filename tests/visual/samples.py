"""Pictures that the tests of the drawings share."""

from __future__ import annotations

import random

from zkynet.visual.picture import Picture, PictureBox, PictureEdge, PictureNode


def node(name, kind="operator", boxes=(), **more):
    return PictureNode(name, kind, name, boxes=tuple(boxes), **more)


def edges(*pairs):
    return tuple(PictureEdge(*pair) for pair in pairs)


def product():
    """f(x, w) = (x + w) * x**2 with its values and gradients at (3, 1)."""
    nodes = (
        PictureNode("x", "input", "x", ("()",), "3", "33"),
        PictureNode("w", "parameter", "w", ("()",), "1", "9"),
        PictureNode("sum", "operator", "add", ("() float64",), "4", "9"),
        PictureNode("two", "constant", "2"),
        PictureNode("power", "operator", "pow", ("() float64",), "9", "4"),
        PictureNode("f", "output", "multiply", ("() float64",), "36", "1"),
    )
    arrows = [("x", "sum", "0"), ("w", "sum", "1"), ("x", "power", "0"), ("two", "power", "1")]
    return Picture(nodes, edges(*arrows, ("sum", "f", "0"), ("power", "f", "1")), title="f(x, w) = (x + w) * x**2")


def square():
    return Picture((node("x", "input"), node("y", "output")), edges(("x", "y"), ("x", "y")))


def mlp(layers=3):
    nodes, arrows, boxes, last = [node("x", "input")], [], [PictureBox(("mlp",), "MLP")], "x"
    for i in range(layers):
        path = ("mlp", f"layers.{i}")
        boxes.append(PictureBox(path, f"layers.{i}: Linear"))
        nodes += [node(f"W{i}", "parameter", path), node(f"b{i}", "parameter", path)]
        nodes += [node(f"matmul{i}", boxes=path), node(f"add{i}", boxes=path), node(f"relu{i}", boxes=path[:1])]
        arrows += [(last, f"matmul{i}", "0"), (f"W{i}", f"matmul{i}", "1"), (f"matmul{i}", f"add{i}", "0")]
        arrows += [(f"b{i}", f"add{i}", "1"), (f"add{i}", f"relu{i}")]
        last = f"relu{i}"
    return Picture(nodes, edges(*arrows), boxes, "MLP")


def residual(blocks=4):
    nodes, arrows, last = [node("x", "input")], [], "x"
    for i in range(blocks):
        path = (f"block{i}",)
        nodes += [node(f"{name}{i}", boxes=path) for name in ("norm", "conv", "relu", "add")]
        nodes.append(node(f"w{i}", "parameter", path))
        arrows += [(last, f"norm{i}"), (f"norm{i}", f"conv{i}", "0"), (f"w{i}", f"conv{i}", "1")]
        arrows += [(f"conv{i}", f"relu{i}"), (f"relu{i}", f"add{i}", "0"), (last, f"add{i}", "1")]
        last = f"add{i}"
    return Picture(nodes, edges(*arrows))


def recurrent(steps, boxed=True):
    nodes, arrows, last = [node("W", "parameter"), node("U", "parameter"), node("h0", "constant")], [], "h0"
    for t in range(steps):
        path = (f"cell#{t}",) if boxed else ()
        nodes.append(node(f"x{t}", "input"))
        nodes += [node(f"{name}{t}", boxes=path) for name in ("hW", "xU", "add", "tanh")]
        arrows += [(last, f"hW{t}", "0"), ("W", f"hW{t}", "1"), (f"x{t}", f"xU{t}", "0"), ("U", f"xU{t}", "1")]
        arrows += [(f"hW{t}", f"add{t}", "0"), (f"xU{t}", f"add{t}", "1"), (f"add{t}", f"tanh{t}")]
        last = f"tanh{t}"
    return Picture(nodes, edges(*arrows))


def tree(leaves):
    """``leaves`` inputs summed in pairs."""
    nodes = [node(f"x{i}", "input") for i in range(leaves)]
    arrows, level = [], [each.id for each in nodes]
    while len(level) > 1:
        sums = []
        for left, right in zip(level[::2], level[1::2]):
            nodes.append(node(f"s{len(nodes)}"))
            arrows += [(left, nodes[-1].id), (right, nodes[-1].id)]
            sums.append(nodes[-1].id)
        level = sums + (level[-1:] if len(level) % 2 else [])
    return Picture(nodes, edges(*arrows))


def random_graph(count, seed, boxed=True, near=12):
    """``count`` nodes in nested boxes; arrows come mostly from the ``near`` nodes before, some from far away."""
    draw = random.Random(seed)
    nodes, arrows = [], []
    for i in range(count):
        path = ()
        if boxed:
            path = (f"stage{i // 100}", f"block{i // 20}") if i % 20 > 3 else (f"stage{i // 100}",)
        is_leaf = i < 2 or draw.random() < 0.2
        nodes.append(node(f"n{i}", "parameter" if is_leaf else "operator", path))
        if not is_leaf:
            sources = [max(0, i - draw.randint(1, near)) for _ in range(draw.choice((1, 2, 2, 3)))]
            if draw.random() < 0.05:
                sources.append(draw.randrange(i))
            arrows += [(f"n{source}", f"n{i}", str(k)) for k, source in enumerate(sources)]
    return Picture(nodes, edges(*arrows))


def tangled(count, seed):
    """Boxes at random, which values leave and enter again: no order of the boxes from top to bottom exists."""
    draw = random.Random(seed)
    paths = [(), ("a",), ("b",), ("a", "c"), ("a", "d"), ("b", "e")]
    nodes = [node(f"n{i}", boxes=draw.choice(paths)) for i in range(count)]
    arrows = [(f"n{draw.randrange(i)}", f"n{i}") for i in range(1, count) for _ in range(draw.choice((1, 2)))]
    return Picture(nodes, edges(*arrows))


SAMPLES = {
    "product": product,
    "square": square,
    "mlp": mlp,
    "residual": residual,
    "recurrent": lambda: recurrent(6),
    "recurrent without boxes": lambda: recurrent(6, boxed=False),
    "wide": lambda: tree(200),
    "one node": lambda: Picture((node("x", "input"),)),
    "loose nodes": lambda: Picture([node(f"n{i}", boxes=("box",) * (i % 2)) for i in range(5)]),
    "random": lambda: random_graph(120, 0),
    "random without boxes": lambda: random_graph(120, 1, boxed=False),
    "tangled": lambda: tangled(40, 0),
    "tangled more": lambda: tangled(80, 3),
}
