"""Records the logs of failures that are provoked here, for the tests of the diagnosis.

    python -m tests.helpers.record_failures [RULE or name of a run…]

As root on Linux: some failures need a small disk, a small /dev/shm or another user. Names of folders and the time of
day are made the same each time; nothing else of what was said is changed but that what stands between the beginning
and the end of a long log is left out.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from engine.contract.paths import code_root
from tests.helpers.provoked.runs import RUNS, healthy, provoke
from tests.helpers.real_worker import WORKER

LOGS = code_root() / "tests" / "unit" / "control" / "diagnosis_logs"
INDEX = LOGS / "recorded.json"
LONGEST, BEGINNING = 6_000, 1_200
PROVOKED: dict[str, tuple[str, ...]] = {
    "adapter_config_absent": ("adapter_without_config",),
    "adapter_shape": ("adapter_of_another_shape",),
    "archive_broken": ("archive_unknown",),
    "architecture_not_causal": ("architecture_not_causal",),
    "architecture_unknown": ("architecture_unknown",),
    "attention_unsupported": ("attention_unsupported",),
    "bitsandbytes_absent": ("bitsandbytes_absent",),
    "column_changes_type": ("column_changes_type",),
    "disk_full": ("no_room", "no_room_for_torch"),
    "disk_read_only": ("read_only",),
    "dtype_mismatch": ("dtype_mismatch",),
    "flash_attention_absent": ("flash_attention_absent",),
    "fp16_gradients": ("fp16_gradients",),
    "generations_group": ("generations_do_not_divide",),
    "gpu_absent": ("no_cuda",),
    "half_unsupported": ("half_unsupported",),
    "hub_away": ("hub_offline", "hub_gateway"),
    "hub_certificate": ("certificate_unknown",),
    "hub_too_many_requests": ("hub_too_many_requests",),
    "import_error": ("missing_package",),
    "library_absent": ("missing_library",),
    "loader_killed": ("loader_killed",),
    "meeting_timeout": ("nobody_meets",),
    "missing_file": ("missing_file",),
    "no_gradient": ("no_gradient",),
    "not_permitted": ("not_permitted",),
    "not_utf8": ("not_utf8",),
    "other_processor": ("other_processor",),
    "out_of_memory": ("allocator", "memory_used_up"),
    "own_code": ("own_code",),
    "padding_absent": ("no_padding_token",),
    "parquet_broken": ("parquet_cut",),
    "pickle_refused": ("pickle_refused",),
    "port_taken": ("port_taken",),
    "preference_columns": ("preference_columns_missing",),
    "recomputed_otherwise": ("recomputed_otherwise",),
    "rows_ragged": ("ragged_rows",),
    "shapes_do_not_multiply": ("shapes_do_not_multiply",),
    "shared_memory": ("shared_memory_full",),
    "target_unsupported": ("target_unsupported",),
    "targets_absent": ("targets_not_found",),
    "template_absent": ("no_template",),
    "template_refused": ("roles_do_not_alternate",),
    "token_outside": ("token_outside_vocabulary",),
    "tokenizer_newer": ("tokenizer_file_newer",),
    "too_many_files": ("too_many_files",),
    "too_many_threads": ("too_many_threads",),
    "trainer_other_version": ("trainer_of_another_version",),
    "unused_parameters": ("unused_parameters",),
    "weights_absent": ("weights_not_there",),
    "weights_broken": ("weights_header_too_large", "weights_cut", "weights_of_git_lfs"),
    "weights_shape": ("weights_of_another_shape",),
}
"""Rule to the failures in `tests.helpers.provoked` that it is tested on; the first gives its log the name."""
CONFIGS: dict[str, dict[str, Any]] = {
    "bitsandbytes_absent": {"model": {"quantisation": "4bit"}},
    "flash_attention_absent": {"model": {"attention": "flash_attention_2"}},
    "generations_group": {"training": {"micro_batch_size": 3}},
    "hub_away": {"model": {"hub": "huggingface", "path": "demo-owner/demo-model"}, "compute": {"network": "none"}},
    "no_gradient": {"training": {"gradient_checkpointing": True}},
    "port_taken": {"compute": {"gpus": 2}},
    "preference_columns": {"stage": "dpo"},
    "recomputed_otherwise": {"training": {"gradient_checkpointing": True}},
    "target_unsupported": {"tuner": {"targets": ["mlp"]}},
    "targets_absent": {"tuner": {"targets": ["query_key_value", "c_attn"]}},
    "unused_parameters": {"compute": {"gpus": 2}},
}
"""The config under which a library fails so, where it is not the usual one."""
QUOTED = ("meeting_timeout",)
"""Rules whose first log is quoted."""
SURROUNDINGS = {
    "no_room": "mount -t tmpfs -o size=2m tmpfs $SMALL_DISK",
    "no_room_for_torch": "mount -t tmpfs -o size=2m tmpfs $SMALL_DISK",
    "read_only": "mount -t tmpfs -o ro tmpfs $SMALL_DISK",
    "shared_memory_full": "mount -t tmpfs -o size=1m tmpfs /dev/shm",
}
"""What is mounted before, seen by nobody else."""


def main(wanted: list[str]) -> int:
    """Record all, or those that are wanted."""
    LOGS.mkdir(exist_ok=True)
    chosen = {rule: names for rule, names in PROVOKED.items() if not wanted or rule in wanted}
    found = libraries([name for names in chosen.values() for name in names])
    for rule, names in chosen.items():
        for number, name in enumerate(names):
            log = f"{rule}-{name}" if number or rule in QUOTED else rule
            keep(log, rule, f"tests/helpers/provoked: {name}", *found[name])
    for name, (_change, _deed, rule) in RUNS.items():
        if not wanted or name in wanted:
            keep(name, rule, f"tests/helpers/provoked/runs.py: {name}", *provoke(name, WORKER))
    if not wanted or "healthy" in wanted:
        (LOGS / "healthy.log").write_text(anonymous(healthy(WORKER)), encoding="utf-8")
    return 0


def libraries(names: list[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Log of each failure of a library, and reason and error a worker ends with. Those alike share a start."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(SURROUNDINGS.get(name, ""), []).append(name)
    found = {}
    for before, group in alike.items():
        found |= _together(before, group)
    return found


def _together(before: str, names: list[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    with tempfile.TemporaryDirectory(prefix="recorded-") as folder:
        disk = Path(folder, "disk")
        disk.mkdir()
        Path(folder).chmod(0o755)
        command = f'"{WORKER}" -m tests.helpers.provoked {folder} {" ".join(names)}'
        if before:
            command = f"unshare -m sh -c '{before} && exec {command}'"
        variables = {**os.environ, "SMALL_DISK": str(disk), "PYTHONPATH": str(code_root())}
        done = subprocess.run(["sh", "-c", command], env=variables, capture_output=True, text=True, cwd=code_root())
        found = {}
        for name in names:
            result = Path(folder, f"{name}.json")
            if not result.exists():
                raise SystemExit(f"{name} did not fail as it should:\n{done.stdout}{done.stderr}")
            log = Path(folder, f"{name}.log").read_text(encoding="utf-8")
            found[name] = (log, json.loads(result.read_text(encoding="utf-8")))
        return found


def keep(name: str, rule: str, how: str, log: str, facts: dict[str, Any]) -> None:
    """Write the log and its entry."""
    (LOGS / f"{name}.log").write_text(short(anonymous(log)), encoding="utf-8")
    error = json.loads(anonymous(json.dumps(facts.pop("error"), ensure_ascii=False)))
    config = {"config": CONFIGS[name]} if name in CONFIGS else {}
    index: dict[str, Any] = json.loads(INDEX.read_text(encoding="utf-8")) if INDEX.exists() else {}
    index[name] = {"rule": rule, "source": "recorded", "how": how, **config, **facts, "error": error}
    INDEX.write_text(json.dumps(dict(sorted(index.items())), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(name, flush=True)


def anonymous(text: str) -> str:
    """The same folders and times wherever and whenever it is recorded."""
    text = text.replace(str(code_root()), "/app")
    text = re.sub(r"/root/\.pyenv/versions/[\d.]+", "/usr", text)
    text = re.sub(r"/tmp/(?:provoked|recorded|pytest|failing)-[\w-]*", "/tmp/work", text)
    text = re.sub(r"(?m)^\d\d:\d\d:\d\d ", "12:00:00 ", text)
    return re.sub(r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:8080", text)


def short(text: str) -> str:
    """The beginning and the end of a long log, in whole lines."""
    if len(text) <= LONGEST:
        return text
    head = text[:BEGINNING].rpartition("\n")[0]
    return f"{head}\n[…]\n" + text[-(LONGEST - BEGINNING) :].partition("\n")[2]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
