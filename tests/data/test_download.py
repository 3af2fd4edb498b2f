"""download_datasets.sh, with a client that only pretends: nothing is fetched from anywhere."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="the script is written for bash")

NAMES = {
    "bostonhousing": ("datasets", "schirmerchad/bostonhoustingmlnd", "housing.csv"),
    "mnist": ("competitions", "digit-recognizer", "train.csv"),
    "mnist_sign_language": ("datasets", "datamunge/sign-language-mnist", "sign_mnist_train.csv"),
    "emotionalspeech": ("datasets", "uwrfkaggler/ravdess-emotional-speech-audio", "Actor_01"),
    "feedbackprize": ("competitions", "feedback-prize-2021", "train.csv"),
}

# `kaggle KIND download SOURCE -p FOLDER`: it notes what it was asked for, and does what $PRETEND says about SOURCE.
CLIENT = f"""#!{sys.executable}
import json, os, pathlib, sys, time, zipfile
kind, verb, source, option, folder = sys.argv[1:]
assert (verb, option) == ("download", "-p") and sys.stdin.read() == ""
with open(os.environ["ASKED"], "a") as log:
    print(kind, source, file=log)
does = json.loads(os.environ["PRETEND"]).get(source, "")
if does == "refuse":
    sys.exit("403 - Forbidden")
if does == "hang":
    (pathlib.Path(folder) / "half.zip").write_text("half")
    time.sleep(60)
target = pathlib.Path(folder) / (source.split("/")[-1] + ".zip")
with zipfile.ZipFile(target, "w") as archive:
    if does != "other":
        for name in json.loads(os.environ["PROOFS"])[source]:
            archive.writestr(name, "content")
if does == "cut":
    target.write_bytes(target.read_bytes()[:20])
if does == "plain":  # a competition of one file is not packed
    target.unlink()
    (pathlib.Path(folder) / "train.csv").write_text("content")
"""


# What runs the tests in the background may have Ctrl-C ignored, and bash would keep it so.
HEARING_CTRL_C = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Place:
    """A folder with the script in it, and nothing on the path but what it needs."""

    def __init__(self, root, script):
        self.root, self.bin, self.home = root / "check out", root / "bin", root / "home"
        for folder in (self.root, self.bin, self.home):
            folder.mkdir()
        self.script = shutil.copy(script, self.root)
        self.datasets, self.log = self.root / "datasets", root / "asked"
        for tool in ("dirname", "sed", "rm", "mkdir", "mv", "unzip"):
            if shutil.which(tool):
                (self.bin / tool).symlink_to(shutil.which(tool))
        self.program("python3", f'#!{BASH}\nexec "{sys.executable}" "$@"\n')

    def program(self, name, text):
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def with_client(self):
        self.program("kaggle", CLIENT)
        return self

    def with_credentials(self, name=".kaggle/kaggle.json"):
        (self.home / name).parent.mkdir(parents=True, exist_ok=True)
        (self.home / name).write_text("{}")
        return self

    def run(self, *arguments, pretend=None, **env):
        done = self.start(arguments, pretend, env)
        stdout, stderr = done.communicate(timeout=120)
        # No step may go wrong unnoticed: what bash itself complains about begins with the script's name.
        assert "download_datasets.sh:" not in stderr, stderr
        return subprocess.CompletedProcess(done.args, done.returncode, stdout, stderr)

    def start(self, arguments, pretend, env):
        proofs = {source: [f"{proof}/x.wav" if "." not in proof else proof] for _, source, proof in NAMES.values()}
        env = {
            "PATH": str(self.bin),
            "HOME": str(self.home),
            "ASKED": str(self.log),
            "PROOFS": json.dumps(proofs),
        } | env
        env |= {"PRETEND": json.dumps(pretend or {})}
        command = [sys.executable, "-c", HEARING_CTRL_C, BASH, str(self.script), *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            env=env,
            stdout=pipe,
            stderr=pipe,
            text=True,
            cwd=self.bin,
            start_new_session=True,
        )

    def asked(self):
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines

    def here(self):
        return sorted(item.name for item in self.datasets.iterdir()) if self.datasets.exists() else []


@pytest.fixture
def place(tmp_path, checkout):
    return Place(tmp_path, checkout / "download_datasets.sh")


@pytest.fixture
def ready(place):
    return place.with_client().with_credentials()


def test_all_are_fetched_once(ready):
    done = ready.run()
    assert done.returncode == 0 and done.stderr == ""
    assert ready.asked() == [f"{kind} {source}" for kind, source, _ in NAMES.values()]
    assert ready.here() == sorted(NAMES)
    for name, (_, _, proof) in NAMES.items():
        assert [item.name for item in (ready.datasets / name).iterdir()] == [proof]
    again = ready.run()
    assert again.returncode == 0 and ready.asked() == []
    assert again.stdout.splitlines() == [f"{name}: here already" for name in NAMES]


def test_without_the_client_it_says_so(place):
    done = place.with_credentials().run()
    assert done.returncode == 1 and "pip install kaggle" in done.stderr and "redentials" not in done.stderr
    assert done.stderr.endswith(
        "Not here: bostonhousing mnist mnist_sign_language emotionalspeech feedbackprize\n"
        "Run this again when that is mended: what is here is not fetched again.\n"
    )
    assert place.here() == []


def test_without_credentials_it_says_so_and_asks_for_nothing(place):
    done = place.with_client().run()
    assert done.returncode == 1 and "credentials are missing" in done.stderr and "pip install" not in done.stderr
    assert place.asked() == [] and place.here() == []


def test_everything_that_is_missing_is_said_at_once(place):
    for tool in ("unzip", "python3"):
        (place.bin / tool).unlink(missing_ok=True)
    stderr = place.run().stderr
    for words in ("no command `kaggle`", "credentials are missing", "neither `unzip` nor `python3`"):
        assert stderr.count(words) == 1


@pytest.mark.parametrize("name", ["kaggle.json", "access_token", "access_token.txt", "credentials.json"])
def test_credentials_in_files(ready, name):
    (ready.home / ".kaggle" / "kaggle.json").unlink()
    assert ready.with_credentials(f".kaggle/{name}").run("mnist").returncode == 0


def test_credentials_elsewhere(ready):
    shutil.rmtree(ready.home / ".kaggle")
    assert ready.run("mnist", KAGGLE_USERNAME="me").returncode == 1
    assert ready.run("mnist", KAGGLE_USERNAME="me", KAGGLE_KEY="k").returncode == 0
    assert ready.run("bostonhousing", KAGGLE_API_TOKEN="t").returncode == 0
    ready.with_credentials(".config/kaggle/kaggle.json")
    assert ready.run("feedbackprize").returncode == 0
    ready.with_credentials("other/kaggle.json")
    assert ready.run("emotionalspeech", KAGGLE_CONFIG_DIR=str(ready.home / "other")).returncode == 0


@pytest.mark.parametrize("does", ["refuse", "cut", "other"])
def test_where_one_fails_the_others_are_fetched(ready, does):
    done = ready.run(pretend={"digit-recognizer": does})
    assert done.returncode == 1 and "Not here: mnist\n" in done.stderr
    assert len(ready.asked()) == 5
    assert ready.here() == sorted(set(NAMES) - {"mnist"})  # nothing half downloaded is left, hidden or not
    assert {"refuse": "digit-recognizer/rules", "cut": "cannot be unpacked", "other": "has no train.csv"}[
        does
    ] in done.stderr
    again = ready.run()
    assert (
        again.returncode == 0 and ready.asked() == ["competitions digit-recognizer"] and ready.here() == sorted(NAMES)
    )


def test_rules_are_a_matter_of_competitions(ready):
    done = ready.run("mnist_sign_language", pretend={"datamunge/sign-language-mnist": "refuse"})
    assert done.returncode == 1 and "could not download" in done.stderr and "rules" not in done.stderr


def test_a_file_that_is_not_packed(ready):
    assert ready.run("feedbackprize", pretend={"feedback-prize-2021": "plain"}).returncode == 0
    assert (ready.datasets / "feedbackprize" / "train.csv").read_text() == "content"


def test_without_unzip_python_unpacks(ready):
    (ready.bin / "unzip").unlink(missing_ok=True)
    assert ready.run("bostonhousing").returncode == 0
    assert (ready.datasets / "bostonhousing" / "housing.csv").exists()


def test_a_folder_that_somebody_made_is_not_touched(ready):
    (ready.datasets / "mnist").mkdir(parents=True)
    (ready.datasets / "mnist" / "notes").write_text("mine")
    done = ready.run("mnist")
    assert done.returncode == 1 and "exists, but has no train.csv" in done.stderr and ready.asked() == []
    assert (ready.datasets / "mnist" / "notes").read_text() == "mine"


def test_what_is_left_of_a_run_that_was_killed_does_not_matter(ready):
    (ready.datasets / ".mnist.part").mkdir(parents=True)
    (ready.datasets / ".mnist.part" / "train.csv").write_text("half")
    assert ready.run("mnist").returncode == 0 and ready.here() == ["mnist"]
    assert (ready.datasets / "mnist" / "train.csv").read_text() == "content"


def test_interrupted_it_leaves_nothing_half_done(ready):
    process = ready.start(["mnist", "bostonhousing"], {"digit-recognizer": "hang"}, {})
    deadline = time.monotonic() + 60
    while not (ready.datasets / ".mnist.part" / "half.zip").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does, to all that run in the terminal
    process.communicate(timeout=60)
    assert process.returncode == 130 and ready.here() == []
    assert ready.asked() == ["competitions digit-recognizer"]


def test_some_by_name_in_another_folder(ready, tmp_path):
    done = ready.run("mnist", "bostonhousing", ZKYNET_DATASETS=str(tmp_path / "else where"))
    assert done.returncode == 0 and ready.here() == []
    assert sorted(item.name for item in (tmp_path / "else where").iterdir()) == ["bostonhousing", "mnist"]


def test_a_name_that_does_not_exist(ready):
    done = ready.run("mnist", "imagenet")
    assert done.returncode == 2 and "`imagenet`. There are: bostonhousing mnist" in done.stderr and ready.asked() == []


def test_list_and_help(ready):
    ready.run("mnist")
    lines = ready.run("--list").stdout.splitlines()
    assert [line.split(":")[0].split()[-1] for line in lines] == list(NAMES)
    assert [line.startswith("here ") for line in lines] == [name == "mnist" for name in NAMES]
    assert "./download_datasets.sh NAME..." in ready.run("--help").stdout


def test_it_can_be_run(checkout):
    assert os.access(checkout / "download_datasets.sh", os.X_OK)


def test_shellcheck(checkout):
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([shellcheck, str(checkout / "download_datasets.sh")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
