"""Four models made of one simple one: its weight shared or not, its input shared or not.

    python examples/composites.py

The simple one is f(x, w) = (x + w) * x**2; the composites all compute

    g = f(a) + f(b) / f(f(c))

with one weight for all four f or one for each, and with one input for a, b and c or three. The numbers are the same in
all four, 1 for every input and every weight, so that the gradients can be compared: **what is shared is one leaf of the
graph, and its gradient is the sum of those that the parts would have had**.
"""

import zkynet as zk


class Simple(zk.Module):
    """f(x) = (x + w) * x**2, with a weight of its own."""

    def __init__(self):
        self.w = zk.Parameter("w", 1.0)

    def call(self, x):
        return (x + self.w) * x**2


class Composite(zk.Module):
    """g = f(a) + f(b) / f(f(c)), with one weight for each of the four f, or with one for all of them."""

    def __init__(self, shared_weight: bool):
        if shared_weight:
            self.parts = [Simple()] * 4  # the same Module four times
        else:
            self.parts = [Simple() for _ in range(4)]

    def call(self, a, b, c):
        first, second, inner, outer = self.parts
        return first(a) + second(b) / outer(inner(c))


class OneInput(zk.Module):
    """A composite that is given the same input three times."""

    def __init__(self, composite: Composite):
        self.composite = composite

    def call(self, x):
        return self.composite(x, x, x)


def weights_and_inputs_shared() -> zk.Module:
    return OneInput(Composite(shared_weight=True))


def weights_shared() -> zk.Module:
    return Composite(shared_weight=True)


def inputs_shared() -> zk.Module:
    return OneInput(Composite(shared_weight=False))


def nothing_shared() -> zk.Module:
    return Composite(shared_weight=False)


MODELS = {
    "weights and inputs shared": weights_and_inputs_shared,
    "weights shared, three inputs": weights_shared,
    "four weights, input shared": inputs_shared,
    "four weights, three inputs": nothing_shared,
}


def main() -> None:
    """Run the four models, and print what their graphs hold."""
    print("f(x, w) = (x + w) * x**2      g = f(a) + f(b) / f(f(c))      every input and weight is 1")
    for title, make in MODELS.items():
        model = make()
        inputs = [1.0] if isinstance(model, OneInput) else [1.0, 1.0, 1.0]
        result = model(*inputs)
        result.back()

        leaves = [node for node in result.nodes if not node.children]
        weights = [result.grad(w) for w in model.parameters()]
        given = [result.grad(node) for node in leaves if isinstance(node.ref, zk.Variable)]
        print()
        print(f"{title}: g = {result.value:.4f}")
        print(f"  the graph: {len(leaves)} leaves, {len(result.nodes) - len(leaves)} operators")
        print(f"  gradient with respect to the inputs:  {account(given)}")
        print(f"  gradient with respect to the weights: {account(weights)}")


def account(numbers: list[float]) -> str:
    """One number as it is, several with their sum."""
    text = ", ".join(f"{number:.4f}" for number in numbers)
    return text if len(numbers) == 1 else f"{text}; their sum is {sum(numbers):.4f}"


if __name__ == "__main__":
    main()
