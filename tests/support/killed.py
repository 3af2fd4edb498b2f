"""Runs that end at once, as if the process had been killed."""

from zkynet.train import On


class KilledError(BaseException):
    """What ends a run at once in tests, and what nobody catches."""


def killed_at(step):
    """A callback that ends a run behind that step."""

    def kill(run):
        if run.step == step:
            raise KilledError

    return On(step_end=kill)
