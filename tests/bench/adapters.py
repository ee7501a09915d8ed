"""Adapters here against peft: loading, injecting, switching, decoding, a batch of several; prints a table.

`python -m tests.bench.adapters [42] [168]` with the worker's interpreter. Both in turns in one process, so that a busy
computer slows both; medians. 42: a Llama of 19 million fp32 weights; 168: the shape of a model of half a billion, bf16.
Warm: the file is in the page cache and was verified before. Cold: it is not, and every byte is read.
BENCH_CLOCK=cpu: one thread, by its processor time.
"""

from __future__ import annotations

import copy
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.compute.worker.__main__ import WAITING

os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", **WAITING} | os.environ)

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from engine.compute.lora.format import LoRAFormat
from engine.compute.lora.injection import Host
from engine.compute.lora.manager import LoRAManager
from engine.compute.lora.peft_folder import read_folder
from engine.compute.lora.plans import Part

ROUNDS, STEPS, SWITCHES = int(os.environ.get("BENCH_ROUNDS", "9")), int(os.environ.get("BENCH_STEPS", "40")), 2000
RANKS = (8, 64)
CLOCK = time.thread_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter
if CLOCK is time.thread_time:
    torch.set_num_threads(1)
SHAPES: dict[str, tuple[dict[str, int], torch.dtype]] = {
    "42": (
        {"hidden_size": 448, "intermediate_size": 1216, "num_hidden_layers": 6, "num_attention_heads": 7,
         "num_key_value_heads": 7, "vocab_size": 9600},
        torch.float32,
    ),
    "168": (
        {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
         "num_key_value_heads": 2, "vocab_size": 151936},
        torch.bfloat16,
    ),
}  # fmt: skip
NAMES = ("one", "two", "three")
Row = tuple[str, str, str, str, str]


def base(shape: str) -> Any:
    """A model with random weights."""
    sizes, dtype = SHAPES[shape]
    torch.manual_seed(1)
    with torch.device("meta"):
        made = LlamaForCausalLM(LlamaConfig(**sizes, tie_word_embeddings=True, max_position_embeddings=512))
    made = made.to(dtype).to_empty(device="cpu")
    for parameter in made.parameters():
        parameter.data.fill_(1) if parameter.dim() == 1 else parameter.data.normal_(std=0.02)
    made.model.rotary_emb = type(made.model.rotary_emb)(made.config)
    made.tie_weights()
    return made.eval()


def twin(model: Any) -> Any:
    """Another model over the same weights: copies lie elsewhere, and some places are read a tenth quicker."""
    return copy.deepcopy(model, {id(one): one for one in model.parameters()})


def make_adapters(model: Any, rank: int, folder: Path) -> None:
    """Three of peft's and their files."""
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules="all-linear", task_type="CAUSAL_LM")
    made = get_peft_model(model, config, autocast_adapter_dtype=False)
    for seed, name in enumerate(NAMES):
        torch.manual_seed(seed)
        for path, parameter in made.named_parameters():
            if "lora_" in path:
                parameter.data.normal_(std=0.02)
        made.save_pretrained(str(folder / name))
        LoRAFormat.save(read_folder(folder / name), folder / f"{name}.lora.arrow")


def milliseconds(work: Callable[[], Any]) -> float:
    """How long it takes once."""
    begin = CLOCK()
    work()
    return (CLOCK() - begin) * 1e3


def in_turns(works: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Medians of all of them; the first round of each does not count."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            times[name].append(milliseconds(work))
    return {name: statistics.median(found[1:]) for name, found in times.items()}


def forget_pages(path: Path) -> None:
    """Take a file out of the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def row(what: str, ours: float, other: float, goal: str, unit: str = "ms") -> Row:
    """A line; the ratio says how many times quicker we are."""
    return what, f"{ours:.3f} {unit}", f"{other:.3f} {unit}", f"{other / ours:.2f} ×", goal


def loading(shape: str, theirs: Any, folder: Path, host: Host) -> list[Row]:
    """Reading an adapter and having it ready."""
    path = folder / "two.lora.arrow"

    def ours() -> Any:
        adapter = LoRAFormat.load(path)
        host.inject(adapter)
        return adapter, host.select([Part("two", adapter)])

    def peft() -> float:
        took = milliseconds(lambda: theirs.load_adapter(str(folder / "two"), "again"))
        theirs.delete_adapter("again")
        return took

    mine, others, cold, read = list[float](), list[float](), list[float](), list[float]()
    for number in range(ROUNDS + 1):
        found = milliseconds(ours), peft()
        forget_pages(path)
        colder = milliseconds(lambda: _all_of(ours()[0]))
        forget_pages(path)
        reading = milliseconds(path.read_bytes)
        if number:
            for kept, value in zip((mine, others, cold, read), (*found, colder, reading), strict=True):
                kept.append(value)
    goal = "≥ 20 ×" if shape == "42" else "≥ 40 ×"
    middle = [statistics.median(one) for one in (mine, others, cold, read)]
    limit = 1.3 * middle[3] + 2
    verified = statistics.median(milliseconds(lambda: LoRAFormat.load(path, verify=True)) for _ in range(ROUNDS))
    return [
        row("load and bind, warm", middle[0], middle[1], goal),
        ("load and bind, cold", f"{middle[2]:.2f} ms", f"{middle[3]:.2f} ms", "(plain reading)", f"≤ {limit:.2f} ms"),
        ("verify once", f"{verified:.2f} ms", "–", "", ""),
    ]


def _all_of(adapter: Any) -> int:
    """Touch every byte of the mapping."""
    return sum(adapter.owner[0::4096])


def placing(model: Any, folder: Path) -> list[Row]:
    """Taking modules over and giving them back, and writing the pointer."""
    adapter = LoRAFormat.load(folder / "one.lora.arrow")
    put, taken = list[float](), list[float]()
    for _ in range(ROUNDS):
        host = Host(model)
        put.append(milliseconds(lambda host=host: host.inject(adapter)))
        taken.append(milliseconds(host.remove))
    manager = LoRAManager()
    for name in NAMES:
        manager.register(name, folder / f"{name}.lora.arrow")
    manager.inject(model)
    for name in NAMES:
        manager.activate(name)

    def switches() -> None:
        for number in range(SWITCHES):
            manager.activate(NAMES[number % 3])

    switched = milliseconds(switches) / SWITCHES * 1e3
    file, held = (folder / "one.lora.arrow").stat().st_size, manager.held.bytes / 3
    manager.remove()
    return [
        ("inject", f"{statistics.median(put):.3f} ms", "–", "", "≤ 1 ms"),
        ("remove", f"{statistics.median(taken):.3f} ms", "–", "", "≤ 0.4 ms"),
        ("switch", f"{switched:.2f} µs", "–", "", "≤ 10 µs"),
        ("memory an adapter", f"{held / 1e6:.2f} MB", f"file {file / 1e6:.2f} MB", f"{held / file:.3f}", "≤ 1.10"),
    ]


def decoding(model: Any, plain: Any, theirs: Any, folder: Path, rank: int) -> list[Row]:
    """A token at a time behind 32 others; peft as it comes, with weights made fp32, and with them as in the file."""
    kept = PeftModel.from_pretrained(twin(plain), str(folder / "one"), "one", autocast_adapter_dtype=False).eval()
    manager = LoRAManager()
    manager.register("one", folder / "one.lora.arrow")
    manager.inject(model)
    manager.activate("one")
    token, before = torch.tensor([[5]]), torch.arange(32)[None]

    def stepper(which: Any) -> Callable[[], None]:
        cache = DynamicCache()
        which(before, past_key_values=cache)

        def steps() -> None:
            for _ in range(STEPS):
                which(token, past_key_values=cache)
                cache.crop(-1)

        return steps

    with torch.inference_mode():
        works = {"base": stepper(plain), "ours": stepper(model), "peft": stepper(theirs), "kept": stepper(kept)}
        found = in_turns(works)
    manager.remove()
    ours, peft, same = (found[name] / found["base"] for name in ("ours", "peft", "kept"))
    goal = f"≤ {1.10 if rank == 8 else 1.25:.2f}, ≤ peft"
    base = f"base {found['base'] / STEPS:.2f} ms"
    return [
        (f"decode, {base}", f"{ours:.3f}", f"{peft:.3f}", f"{peft / ours:.2f} ×", goal),
        ("decode, peft's weights as the file's", f"{ours:.3f}", f"{same:.3f}", f"{same / ours:.2f} ×", goal),
    ]


def mixing(model: Any, theirs: Any, folder: Path) -> list[Row]:
    """Four rows, three with an adapter each."""
    manager = LoRAManager()
    for name in NAMES:
        manager.register(name, folder / f"{name}.lora.arrow")
    manager.inject(model)
    rows, made = [*NAMES, None], list[Row]()
    named = [*NAMES, "__base__"]
    for length in (1, 16):
        ids = torch.arange(4 * length).view(4, length) + 7
        with torch.inference_mode(), manager.request(rows=rows):
            same = float((model(ids).logits - theirs(ids, adapter_names=named).logits).abs().max())
            works = {"ours": lambda ids=ids: model(ids), "peft": lambda ids=ids: theirs(ids, adapter_names=named)}
            found = in_turns(works, ROUNDS * 2)
        made.append(row(f"4 rows of {length}, off by {same:.1e}", found["ours"], found["peft"], "≥ 1.5 ×"))
    manager.remove()
    return made


def measure(shape: str) -> None:
    """All of it for one model."""
    model = base(shape)
    plain = twin(model)
    print(f"\n{shape} modules, {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M weights, {model.dtype}")
    for rank in RANKS:
        with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            folder = Path(name)
            own = twin(model)
            make_adapters(own, rank, folder)
            theirs = PeftModel.from_pretrained(twin(model), str(folder / "one"), "one").eval()
            del own
            for other in NAMES[1:]:
                theirs.load_adapter(str(folder / other), other)
            theirs.set_adapter("one")
            host = Host(model)
            made = loading(shape, theirs, folder, host)
            host.remove()
            made += placing(model, folder)
            made += decoding(model, plain, theirs, folder, rank)
            made += mixing(model, theirs, folder)
        print(f"\n| rank {rank}, {os.getloadavg()[0]:.1f} others at work | here | peft | ratio | goal |")
        print("|---|---|---|---|---|")
        for line in made:
            print("| " + " | ".join(line) + " |", flush=True)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or ["42"]:
        measure(wanted)
