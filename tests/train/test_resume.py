"""A run that is killed and goes on from its newest checkpoint is, to the bit, the run that was never interrupted.

``ZKYNET_RESUMES`` sets how often one goes on after it was killed at a random moment (50), ``ZKYNET_SEED`` which (0).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

if not hasattr(os, "fork"):
    pytest.skip("this system cannot fork", allow_module_level=True)

POINTS = int(os.environ.get("ZKYNET_RESUMES", "50"))
SEED = int(os.environ.get("ZKYNET_SEED", "0"))


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path):
    """SGD with momentum and Adam with a schedule; dropout, batch statistics, shuffled and noisy batches; NumPy."""
    program = Path(__file__).with_name("resuming.py")
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "ZKYNET_BACKEND": "numpy"}
    done = subprocess.run(
        [sys.executable, program, str(tmp_path), str(POINTS), str(SEED)],
        capture_output=True,
        text=True,
        timeout=600,
        env=alone,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    found = json.loads(done.stdout)
    print(
        f"\nkill -9 while training: {found['kills']} kills in {found['runs']} runs, {found['resumes']} times resumed "
        f"from a checkpoint, {found['different']} runs with other weights, losses or logs than uninterrupted"
    )
    assert found["kills"] >= found["resumes"] >= POINTS and found["failed"] == found["different"] == 0
