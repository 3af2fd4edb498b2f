"""The code of docs/optimizers.md runs, and its table has every optimizer and schedule."""

import re

from zkynet import optim
from zkynet.optim import schedules


def test_the_code_runs_and_trains(checkout):
    space: dict = {}
    values = []
    for block in re.findall(r"```python\n(.*?)```", page(checkout), re.DOTALL):
        exec(compile(block, "docs/optimizers.md", "exec"), space)
        values.append(float(space["value"]))
    assert values[0] < 0.5 and space["scale"].good == 1
    assert repr(space["optimizer"]) == "Adam(lr=0.001)"


def page(checkout):
    return (checkout / "docs" / "optimizers.md").read_text(encoding="utf-8")


def test_the_page_names_everything_public(checkout):
    text = page(checkout)
    public = set(optim.__all__) - {"Optimizer", "schedules", "global_norm"}
    kinds = {name for name, x in vars(schedules).items() if isinstance(x, type) and x.__module__ == schedules.__name__}
    assert not [name for name in public | kinds if not re.search(rf"\b{name}\b", text)]
