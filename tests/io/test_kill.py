"""kill -9 while checkpoints are saved: nothing that was saved is lost, and no half file is ever accepted.

``ZKYNET_KILLS`` sets how many random moments (200), ``ZKYNET_SEED`` which (0).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

if not hasattr(os, "fork"):
    pytest.skip("this system cannot fork", allow_module_level=True)

KILLS = int(os.environ.get("ZKYNET_KILLS", "200"))
SEED = int(os.environ.get("ZKYNET_SEED", "0"))


def run(*args):
    program = Path(__file__).with_name("killing.py")
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # a process that forks has no other threads
    done = subprocess.run(
        [sys.executable, program, *map(str, args)], capture_output=True, text=True, timeout=600, env=alone
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path):
    found = run("moments", tmp_path / "run", KILLS, SEED)
    print(
        f"\nkill -9 while saving: {found['kills']} kills in {found['saves']} saves, {found['lost']} lost, "
        f"{found['halves']} half files accepted (they fell {found['left_over']} times into the writing of a file, "
        f"{found['without_json']} times between two files, {found['clean']} times between saves)"
    )
    assert found["kills"] == KILLS and found["lost"] == found["halves"] == 0
    assert found["left_over"] >= KILLS // 10 and found["saves"] >= KILLS // 4  # both files and whole saves were hit


@pytest.mark.slow
def test_killed_before_every_call_of_the_system(tmp_path):
    """The older checkpoint up to one call, the new one from then on; only a run that goes back has others between."""
    found = run("calls", tmp_path)
    assert found["halves"] == 0 and found["wrong"] == [] and found["kills"] >= 5 * 15
    assert found["outcomes"] == [[3, 4], [3, 4], [3, 2, 4], [3, 2, 1, 4], [3, 2, 1, 0, 4]]
