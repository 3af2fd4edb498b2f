"""What a call of a model leaves to look at: its value, its gradients, its nodes, and the backward pass step by step.

python examples/look_inside.py
"""

import zkynet as zk


class Simple(zk.Module):
    """f(x) = (x + w) * x**2."""

    def __init__(self):
        self.w = zk.Parameter("w", 1.0)

    def call(self, x):
        return (x + self.w) * x**2


def main() -> None:
    """Call the model at x = 3, and look at every part of what comes back."""
    model = Simple()
    result = model(3.0)  # a ModuleGraph: the graph of this one call
    result.back()

    print("value:", result.value)
    print("df/dw:", result.grad(model.w))
    print("df/dx:", result.grad(model.input("x")))

    print("\nThe nodes, inputs before what reads them:")
    for node in result.nodes:
        children = ", ".join(child.name for child in node.children)
        line = f"  {node.name:12} value {node.value:4}   gradient {node.gvalue:4}"
        print(f"{line}   of {children}" if children else line)

    print("\nThe backward pass, one node at a time:")
    print(result.steps())


if __name__ == "__main__":
    main()
