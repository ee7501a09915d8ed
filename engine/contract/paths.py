"""Where everything lies: the one home of all data, and the resources that ship with the program."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from engine.contract.errors import UserError

HOME_VARIABLE = "FORGE_HOME"
KEPT = "kept"
"""Beside a run's checkpoints: which of them are never pruned."""


def expanded(path: str | Path) -> Path:
    """A path whose `~` is a home; where nobody has that name it stays as it is, and is found missing like any other."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def usual_home() -> Path:
    """Where the data lies unless somebody chose otherwise."""
    return Path(platformdirs.user_data_dir("LoRAForge", appauthor=False))


def home_pointer() -> Path:
    """The small file that names the home after its data was moved (JSON: `{"home": …}`). It lies in no home."""
    return Path(platformdirs.user_config_dir("LoRAForge", appauthor=False)) / "home.json"


def _pointed_at() -> Path | None:
    """The folder the pointer names; one that is missing is said, lest an empty home is begun in its place."""
    pointer = home_pointer()
    try:
        named = json.loads(pointer.read_bytes())["home"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError("home.bad_pointer", pointer=str(pointer), detail=str(error)) from error
    root = Path(str(named))
    if not root.is_dir():
        raise UserError("home.missing", home=str(root), pointer=str(pointer))
    return root


@dataclass(frozen=True)
class Home:
    """The folder that holds all data of one person on one computer.

    `FORGE_HOME` names it; without that the pointer file does, which a move of the data leaves; without both it is
    the platform's data folder.
    """

    root: Path

    @classmethod
    def find(cls) -> "Home":
        """The home this process uses."""
        named = os.environ.get(HOME_VARIABLE)
        root = expanded(named) if named else _pointed_at() or usual_home()
        return cls(root.absolute())

    @property
    def database(self) -> Path:
        """The run history."""
        return self.root / "history.sqlite3"

    @property
    def token_file(self) -> Path:
        """The controller's access token, readable by its owner only."""
        return self.root / "controller.token"

    @property
    def controller_file(self) -> Path:
        """Address, process id and version of the controller that runs now (JSON)."""
        return self.root / "controller.json"

    @property
    def identity_file(self) -> Path:
        """Which home this is, on the labels of containers; made once, it moves with the home."""
        return self.root / "home-id"

    @property
    def nodes(self) -> Path:
        """What is remembered for the sake of nodes."""
        return self.root / "nodes"

    @property
    def controller_lock(self) -> Path:
        """Locked for as long as a controller lives, so that a home has only one."""
        return self.root / "controller.lock"

    @property
    def controller_log(self) -> Path:
        """What the controller has to say."""
        return self.root / "logs" / "controller.log"

    @property
    def kept_elsewhere(self) -> Path:
        """What of each run lies at the place for artefacts, a file a run."""
        return self.root / "artifacts"

    @property
    def settings_file(self) -> Path:
        """Settings of the controller (slots, worker profile …), JSON."""
        return self.root / "settings.json"

    @property
    def desktop_folder(self) -> Path:
        """State of the desktop: window geometry, drafts, language, theme."""
        return self.root / "desktop"

    @property
    def worker_code(self) -> Path:
        """Copies of the engine for workers, one a version, where the program lies among other packages."""
        return self.root / "code"

    @property
    def environments(self) -> Path:
        """Worker environments made by `forge worker install`."""
        return self.root / "environments"

    @property
    def models(self) -> Path:
        """Models that came from hubs, one folder a commit."""
        return self.root / "models"

    @property
    def datasets(self) -> Path:
        """Versions of datasets, one folder each, named by their fingerprint; half made ones begin with a dot."""
        return self.root / "datasets"

    def dataset(self, fingerprint: str) -> Path:
        """The folder of one version of a dataset."""
        return self.datasets / fingerprint

    def importing(self, uid: str) -> Path:
        """Where the import with this run's id makes its version; all attempts go on with it."""
        return self.datasets / f".making-{uid}"

    @property
    def uploads(self) -> Path:
        """Files that are sent in pieces."""
        return self.root / "uploads"

    def upload(self, uid: str) -> Path:
        """The folder of one of them; once it is complete the file lies in it under its own name, and nothing else."""
        return self.uploads / uid

    @property
    def secrets_file(self) -> Path:
        """Which secrets are set; their values only where there is no keyring. Readable by its owner only."""
        return self.root / "secrets.json"

    @property
    def library(self) -> Path:
        """Verified copies of results that outlive their run's working files, one folder a run."""
        return self.root / "library"

    @property
    def adapters(self) -> Path:
        """Adapters that were brought in, each by its hash."""
        return self.root / "adapters"

    def adapter(self, file_hash: str) -> Path:
        """The file of one that was brought in."""
        return self.adapters / f"{file_hash}.lora.arrow"

    @property
    def runs(self) -> Path:
        """One folder a run."""
        return self.root / "runs"

    def run(self, uid: str) -> Path:
        """The folder of one run."""
        return self.runs / uid

    def kept(self, uid: str) -> Path:
        """An empty file for each checkpoint that is kept for good, by its name; the controller writes them."""
        return self.run(uid) / KEPT

    def attempt(self, uid: str, number: int) -> "AttemptFolder":
        """The folder of one start of a run."""
        return AttemptFolder(self.run(uid) / "attempts" / str(number))


@dataclass(frozen=True)
class AttemptFolder:
    """The files of one attempt: written by the worker and its monitor, read by the controller."""

    root: Path

    @property
    def order(self) -> Path:
        """What the worker is asked to do (`AttemptOrder`, JSON)."""
        return self.root / "order.json"

    @property
    def journal(self) -> Path:
        """The truth about the attempt, one JSON object a line."""
        return self.root / "journal.jsonl"

    @property
    def log(self) -> Path:
        """The worker's standard output and error."""
        return self.root / "worker.log"

    @property
    def meeting(self) -> Path:
        """Where the members of an attempt find each other."""
        return self.root / ".members"

    def member_log(self, number: int) -> Path:
        """Output of another member than the first."""
        return self.root / f"worker-{number}.log"

    def member_error(self, number: int) -> Path:
        """Why it failed (JSON), where it could say so."""
        return self.root / f"worker-{number}.error.json"

    @property
    def exit(self) -> Path:
        """How the worker's process ended, written by its monitor (JSON)."""
        return self.root / "exit.json"

    @property
    def monitor(self) -> Path:
        """Process ids and start times of monitor and worker (JSON)."""
        return self.root / "monitor.json"

    @property
    def control(self) -> Path:
        """Commands to the worker, one file each."""
        return self.root / "control"

    @property
    def secrets(self) -> Path:
        """Tokens for the worker, readable by its owner only; the worker removes it when it has read it, else it goes as
        everything does that begins with a dot."""
        return self.control / ".secrets"

    @property
    def model_choice(self) -> Path:
        """Which commit of a hub's model the run works with, in all its attempts (JSON)."""
        return self.run / "model.json"

    @property
    def fresh_model(self) -> Path:
        """The base model of a run that begins from scratch, made by its first attempt."""
        return self.run / "fresh-model"

    @property
    def teacher_choice(self) -> Path:
        """The same of its teacher."""
        return self.run / "teacher.json"

    @property
    def reference(self) -> Path:
        """What the base model makes of the rows, with what it belongs to; asked once for all attempts."""
        return self.run / "reference.safetensors"

    @property
    def sampled(self) -> Path:
        """Which version a run that samples has made, written before that is put in its place (JSON)."""
        return self.run / "sampled.json"

    @property
    def run(self) -> Path:
        """The folder of the run this attempt belongs to."""
        return self.root.parent.parent

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of all attempts of the run; only the worker of the live attempt writes here."""
        return self.run / "checkpoints"

    @property
    def outputs(self) -> Path:
        """Results: adapter, model, answers."""
        return self.root / "outputs"


def code_root() -> Path:
    """The folder that holds `engine`: a checkout, or the site-packages the program is installed in."""
    return Path(__file__).resolve().parents[2]


def resources_folder() -> Path:
    """Presets, fonts, icons, translations and the bundled model and data."""
    frozen = getattr(sys, "_MEIPASS", None)
    candidates = [code_root() / "resources", code_root() / "loraforge_resources"]
    if frozen:
        candidates.insert(0, Path(frozen) / "resources")
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"The program's resources are missing; looked in {', '.join(map(str, candidates))}.")
