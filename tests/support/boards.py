"""What tensorboard reads in event files."""

import pytest

EVERYTHING = {name: 0 for name in ("scalars", "histograms", "images", "tensors", "compressedHistograms")}


def accumulated(path):
    """What tensorboard finds in a file or a folder."""
    reason = "tensorboard, which reads the files back, is not installed"
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason=reason)
    found = module.EventAccumulator(str(path), size_guidance=EVERYTHING)
    found.Reload()
    return found


def scalars(path):
    """{tag: [(step, number)]} of a folder, as tensorboard reads them."""
    found = accumulated(path)
    return {tag: [(each.step, each.value) for each in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
