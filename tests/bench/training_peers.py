"""`make bench-peers`: one LoRA epoch here, with plain Trainer, trl, ms-swift and LLaMA-Factory; writes a table.

The same model, rows, recipe and batch for all, gradient checkpointing off, each as its own program from its own
environment, in turns. Tokens are those of the rows, without filling. What is run stands in `commands`.
"""

from __future__ import annotations

import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from engine.client.client import ControllerClient
from engine.client.launch import connect
from engine.contract.api import Settings
from engine.contract.paths import Home, resources_folder
from engine.contract.run_spec import RunSpec
from engine.contract.states import RunState

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
ROWS, BATCH, LONGEST = int(os.environ.get("BENCH_ROWS", "320")), 16, 24
PRECISIONS = os.environ.get("BENCH_PRECISIONS", "fp32,bf16").split(",")
MODELS = os.environ.get("BENCH_MODELS", "demo,wide").split(",")
PEERS = Path(os.environ.get("BENCH_PEERS", "bench/.peers")).absolute()
PINNED = {"swift": ("ms-swift==4.6.0",), "llamafactory": ("llamafactory==0.9.5",)}
"""What the environments of the two peers are made of, with the torch of constraints.txt."""
WORKER = str(Path(".venv-worker/bin/python").absolute())
LIMIT_S = 900.0
STEP = re.compile(r"""['"]loss['"]:""")
OURS = ("this program, cold", "this program, warm")


@dataclass
class Course:
    """How one run went."""

    first_step: float
    seconds: float
    """From the first step to the last."""
    processor: float
    """Seconds of all processors in that time."""
    peak_mb: float


@dataclass
class Watched:
    """Follows a tree of processes: the most memory they held at once, and their processor time."""

    pid: int
    peak: int = 0
    _spent: dict[int, float] = field(default_factory=dict)
    _end: threading.Event = field(default_factory=threading.Event)

    def look(self) -> float:
        """Processor seconds until now, also of those that are gone."""
        held = 0
        for process in self._tree():
            try:
                times = process.cpu_times()
                self._spent[process.pid] = times.user + times.system
                held += process.memory_info().rss
            except psutil.Error:
                continue
        self.peak = max(self.peak, held)
        return sum(self._spent.values())

    def _tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self.pid)
            return [root, *root.children(recursive=True)]
        except psutil.Error:
            return []

    @contextmanager
    def followed(self) -> Iterator[Watched]:
        """Look again and again."""

        def work() -> None:
            while not self._end.wait(0.1):
                self.look()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._end.set()
            thread.join()


def write_rows(file: Path) -> None:
    """Questions of the demo, one to many in a row, as lengths are in real data; half of a row's tokens are learned."""
    chance = random.Random(7)
    lines = (resources_folder() / "demo" / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    ready = [[one["content"] for one in json.loads(line)["messages"]] for line in lines]
    made = []
    for _ in range(ROWS):
        parts = chance.choices(ready, k=min(LONGEST, max(1, int(chance.lognormvariate(1.2, 0.9)))))
        roles = zip(("user", "assistant"), zip(*parts, strict=True), strict=True)
        made.append({"messages": [{"role": role, "content": "\n".join(texts)} for role, texts in roles]})
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made), encoding="utf-8")


MAKE_MODEL = """
import sys, torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
source, target, kind = sys.argv[1:]
if kind == "demo":
    model = AutoModelForCausalLM.from_pretrained(source)
else:
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(source, vocab_size=32768, hidden_size=384, intermediate_size=1024,
                                        num_hidden_layers=8, layer_types=["full_attention"] * 8)
    model = AutoModelForCausalLM.from_config(config)
model.save_pretrained(target)
AutoTokenizer.from_pretrained(source).save_pretrained(target)
print(sum(p.numel() for p in model.parameters()))
"""
COUNT_TOKENS = """
import json, sys
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
rows = [json.loads(line)["messages"] for line in open(sys.argv[2], encoding="utf-8")]
print(sum(len(tokenizer.apply_chat_template(row, return_dict=True)["input_ids"]) for row in rows))
"""


def asked(code: str, *words: str) -> int:
    """The number a piece of code for the worker's interpreter prints last."""
    done = subprocess.run([WORKER, "-c", code, *words], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def environments() -> dict[str, Path]:
    """Those of the two peers, made where they are missing; one that cannot be made is said and left out."""
    made = {}
    torch = next(line for line in Path("constraints.txt").read_text().splitlines() if line.startswith("torch=="))
    for name, packages in PINNED.items():
        folder = PEERS / name
        if not (folder / "made").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            done = subprocess.run([folder / "bin/pip", "install", "-q", torch, *packages], capture_output=True)
            if done.returncode:
                print(f"{name} is left out: {done.stderr.decode()[-400:]}", file=sys.stderr)
                continue
            without_media(folder)
            (folder / "made").touch()
        made[name] = folder / "bin"
    return made


def without_media(folder: Path) -> None:
    """torchvision and torchaudio of the index are made for CUDA: they cannot be loaded beside a torch without it.

    LLaMA-Factory imports torchaudio whatever it trains; for text an empty one does.
    """
    subprocess.run([folder / "bin/pip", "uninstall", "-q", "-y", "torchvision", "torchaudio"], check=True)
    for packages in folder.glob("lib/python*/site-packages"):
        (packages / "torchaudio.py").touch()


def commands(
    model: Path, rows: Path, folder: Path, precision: str, made: dict[str, Path]
) -> dict[str, Callable[[], list[str]]]:
    """How each peer is asked for the same run."""
    plain = [WORKER, "tests/bench/training_peer.py"]
    places = [str(model), str(rows), str(folder), str(BATCH), precision]

    def llamafactory() -> list[str]:
        listed = {"rows": {"file_name": str(rows), "formatting": "sharegpt", "columns": {"messages": "messages"},
                           "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user",
                                    "assistant_tag": "assistant"}}}  # fmt: skip
        (folder / "dataset_info.json").write_text(json.dumps(listed))
        recipe = {
            "model_name_or_path": str(model), "stage": "sft", "do_train": True, "finetuning_type": "lora",
            "lora_rank": 16, "lora_alpha": 32, "lora_target": "all", "dataset": "rows", "dataset_dir": str(folder),
            "template": "chatml", "cutoff_len": 1024, "overwrite_cache": True, "output_dir": str(folder / "out"),
            "logging_steps": 1, "save_strategy": "no", "overwrite_output_dir": True, "report_to": "none",
            "per_device_train_batch_size": BATCH, "gradient_accumulation_steps": 1, "learning_rate": 1e-3,
            "num_train_epochs": 1.0, "lr_scheduler_type": "cosine", "bf16": precision == "bf16",
            "disable_gradient_checkpointing": True, "use_cpu": True, "preprocessing_num_workers": 1,
        }  # fmt: skip
        (folder / "recipe.yaml").write_text(json.dumps(recipe))
        return [str(made["llamafactory"] / "llamafactory-cli"), "train", str(folder / "recipe.yaml")]

    def swift() -> list[str]:
        dtype = "float32" if precision == "fp32" else "bfloat16"
        return [
            str(made["swift"] / "swift"), "sft", "--model", str(model), "--model_type", "qwen3", "--template", "chatml",
            "--check_model", "false", "--dataset", str(rows), "--tuner_type", "lora", "--lora_rank", "16",
            "--lora_alpha", "32", "--lora_dropout", "0", "--target_modules", "all-linear", "--torch_dtype", dtype,
            "--bf16", str(precision == "bf16").lower(), "--fp16", "false", "--num_train_epochs", "1",
            "--per_device_train_batch_size", str(BATCH), "--gradient_accumulation_steps", "1", "--learning_rate",
            "1e-3", "--lr_scheduler_type", "cosine", "--gradient_checkpointing", "false", "--logging_steps", "1",
            "--save_strategy", "no", "--eval_strategy", "no", "--split_dataset_ratio", "0", "--max_length", "1024",
            "--output_dir", str(folder / "out"), "--report_to", "none", "--dataset_num_proc", "1",
            "--dataloader_num_workers", "0", "--use_cpu", "true", "--load_from_cache_file", "false",
        ]  # fmt: skip

    found: dict[str, Callable[[], list[str]]] = {
        "plain Trainer + peft": lambda: [*plain, "trainer", *places],
        "trl": lambda: [*plain, "trl", *places],
    }
    if "swift" in made:
        found["ms-swift"] = swift
    if "llamafactory" in made:
        found["LLaMA-Factory"] = llamafactory
    return found


def peer(command: list[str], steps: int, log: Path) -> Course:
    """Run it; a step is a line that tells a loss."""
    quiet = {
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "CUDA_VISIBLE_DEVICES": "",
    }
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, env={**os.environ, **quiet}
    )
    seen: list[tuple[float, float]] = []
    assert process.stdout is not None
    with Watched(process.pid).followed() as watched, log.open("w") as kept:
        for line in process.stdout:
            kept.write(line)
            seen += [(time.perf_counter(), watched.look())] * len(STEP.findall(line))
        process.wait()
    if len(seen) < steps:
        raise RuntimeError(f"{' '.join(command[:2])} told {len(seen)} steps of {steps}: {log.read_text()[-1500:]}")
    (first, used), (last, spent) = seen[0], seen[steps - 1]
    return Course(first - begin, last - first, spent - used, watched.peak / 1e6)


def ours(client: ControllerClient, model: Path, rows: Path, precision: str, warm: bool) -> Course:
    """Through the controller, as people do it."""
    client.change_settings(Settings(spare_workers=int(warm)))
    wait(lambda: client.health().spare == ("ready" if warm else "off"))
    spec = RunSpec.model_validate(
        {
            "name": "peers",
            "job": {
                "kind": "train",
                "model": {"path": str(model), "hub": "local"},
                "data": {"train": [{"path": str(rows), "hub": "local"}], "max_length": 1024},
                "tuner": {"kind": "lora", "rank": 16, "alpha": 32},
                "training": {
                    "epochs": 1, "micro_batch_size": BATCH, "learning_rate": 1e-3, "precision": precision,
                    "schedule": "cosine", "gradient_checkpointing": False,
                },
                "evaluation": {"data": []},
            },
        }
    )  # fmt: skip
    begin = time.perf_counter()
    uid = client.create(spec).uid
    attempt = Home.find().attempt(uid, 1)
    wait(lambda: lines(attempt.journal, "started") != [])
    pid = lines(attempt.journal, "started")[0]["pid"]
    seen: list[tuple[float, float]] = []
    with Watched(pid).followed() as watched:
        while client.run(uid).run.state not in (RunState.COMPLETED, RunState.FAILED):
            count = len(lines(attempt.journal, "step"))
            seen += [(time.perf_counter(), watched.look())] * (count - len(seen))
            time.sleep(0.02)
    detail = client.run(uid)
    assert detail.run.state is RunState.COMPLETED, detail.run.error
    told = lines(attempt.journal, "step")
    first = detail.submit_to_first_step_s or seen[0][0] - begin
    seconds = told[-1]["t"] - told[0]["t"]
    return Course(first, seconds, seen[-1][1] - seen[0][1], watched.peak / 1e6)


def lines(journal: Path, kind: str) -> list[dict[str, float]]:
    """Journal lines of a kind."""
    if not journal.exists():
        return []
    whole = journal.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
    return [line for line in map(json.loads, whole) if line["kind"] == kind]


def wait(true: Callable[[], bool]) -> None:
    """Until something is so."""
    until = time.monotonic() + LIMIT_S
    while not true():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.05)


def measure(client: ControllerClient, model: str, precision: str, made: dict[str, Path], folder: Path) -> None:
    """All in turns, a table at the end."""
    rows, place = folder / "rows.jsonl", folder / f"model-{model}"
    write_rows(rows)
    size = asked(MAKE_MODEL, str(resources_folder() / "demo" / "model"), str(place), model)
    tokens, steps = asked(COUNT_TOKENS, str(place), str(rows)), -(-ROWS // BATCH)
    found: dict[str, list[Course]] = {}
    for turn in range(ROUNDS):
        aside = Path(tempfile.mkdtemp(dir=folder))
        for name, command in commands(place, rows, aside, precision, made).items():
            try:
                found.setdefault(name, []).append(peer(command(), steps, aside / f"{name}.log"))
            except RuntimeError as error:
                print(f"{name}, turn {turn + 1}: {error}", file=sys.stderr)
        for name in OURS:
            found.setdefault(name, []).append(ours(client, place, rows, precision, name == OURS[1]))
    print(f"\n### {model}: {size / 1e6:.1f} M parameters, {precision}\n")
    print(
        f"{ROWS} rows, {tokens} tokens, {steps} steps of {BATCH} rows, LoRA rank 16 everywhere; medians of {ROUNDS}.\n"
    )
    told = {name: courses for name, courses in found.items() if courses}
    table(told, tokens * (steps - 1) / steps)


def table(found: dict[str, list[Course]], tokens: float) -> None:
    """Medians, and ratios by the best peer."""

    def middle(name: str, of: Callable[[Course], float]) -> float:
        return statistics.median(map(of, found[name]))

    columns: list[tuple[str, Callable[[Course], float], bool]] = [
        ("submit → first step, s", lambda course: course.first_step, False),
        ("tokens/s", lambda course: tokens / course.seconds, True),
        ("tokens/CPU-s", lambda course: tokens / course.processor, True),
        ("memory at most, MB", lambda course: course.peak_mb, False),
    ]
    best = [
        (max if more else min)(middle(name, of) for name in found if name not in OURS) for _title, of, more in columns
    ]
    heads = " | ".join(f"{title} | by the best peer" for title, _of, _more in columns)
    print(f"| | {heads} |\n|---|{'---:|' * 8}")
    for name in found:
        cells = []
        for (_title, of, _more), top in zip(columns, best, strict=True):
            value = middle(name, of)
            cells.append(f"{value:,.1f} | {value / top:.2f}" if value < 100 else f"{value:,.0f} | {value / top:.2f}")
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    """Every model in every precision."""
    made = environments()
    os.environ["FORGE_WORKER_PYTHON"] = WORKER
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FORGE_HOME"] = str(Path(folder) / "home")
        with connect(Home.find()) as client:
            for model in MODELS:
                for precision in PRECISIONS:
                    measure(client, model, precision, made, Path(tempfile.mkdtemp(dir=folder)))
        subprocess.run([sys.executable, "-m", "engine.cli", "controller", "stop"], capture_output=True, check=True)


if __name__ == "__main__":
    main()
