"""A worker without torch that writes a real journal and real checkpoints: for tests of everything around it.

Run as `python stub_worker.py -m engine.compute.worker FOLDER`. The run's name says how it behaves:
words `steps=N` (unless the config has max_steps), `delay=SECONDS` a step, `save=N` (a checkpoint every N steps),
`exit=CODE`, `die` (SIGKILL to itself after half), `dieat=STEP[,SIGNAL]`, `hangat=STEP` (silent from there on),
`once` (misbehaves in the first attempt only), `deaf` (ignores SIGTERM and commands), `held` (waits before its last
step until a file `go` lies in the run's folder or a command ends it),
`clock` (each step prints the time), `bytes=N` (of the adapter's weights), `unhashed`
(its fingerprint is not told).
An import reads JSONL for `steps` times `delay`, and makes a version; `die` then kills it before its rows are in place,
`dieafter` when it has told of them.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

folder = Path(sys.argv[-1])
run_folder = folder.parent.parent
order = json.loads((folder / "order.json").read_bytes())
attempt = order["attempt"]
words = dict(word.partition("=")[::2] for word in order["spec"]["name"].split())
steps = order["spec"]["job"].get("training", {}).get("max_steps") or int(words.get("steps", 5))
delay, every = float(words.get("delay", 0)), int(words.get("save", 0))
if "once" in words and attempt > 1:
    for word in ("die", "dieat", "dieafter", "hangat"):
        words.pop(word, None)
terminated, obeyed = [], set()
signal.signal(signal.SIGTERM, lambda *_: terminated.append(True))
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
journal = (folder / "journal.jsonl").open("ab", buffering=0)
seq = 0


def say(kind, **content):
    global seq
    seq += 1
    journal.write(json.dumps({"v": 1, "seq": seq, "t": time.time(), "kind": kind, **content}).encode() + b"\n")


def end(state, reason, code, step, **more):
    say("ended", state=state, reason=reason, step=step, **more)
    leave(code)


def leave(code):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as a real worker: nothing changes the exit code any more
    sys.exit(code)


def save(step, cause):
    target = run_folder / "checkpoints" / f"a{attempt}-s{step}"
    if target.exists():
        return
    aside = target.with_name(f".{target.name}.partial")
    aside.mkdir(parents=True)
    manifest = json.dumps({"step": step, "steps": steps}).encode()
    (aside / "manifest.json").write_bytes(manifest)
    aside.rename(target)
    say(
        "checkpoint", path=f"checkpoints/{target.name}", step=step, epoch=step / 10, loss=2.0 / step, cause=cause,
        bytes=len(manifest), sha256=hashlib.sha256(f"manifest.json {sha(manifest)}".encode()).hexdigest(),
    )  # fmt: skip


def sha(data):
    return hashlib.sha256(data).hexdigest()


def begin():
    for point in order["resume"]:
        if (run_folder / point["path"] / "manifest.json").exists():
            say("resumed", **point)
            return point["step"]
        say("note", level="warning", code="checkpoint.skipped", params={**point, "detail": "not there"})
    if order["resume_required"]:
        error = {"code": "checkpoint.none_good", "what": "None is whole."}
        end("failed", "bad_model", 1, None, error=error)
    return 0


def commands(step):
    """What is new in the control folder; the wish to end, if there is one."""
    wish = None
    for path in sorted((folder / "control").glob("*.json")):
        command = json.loads(path.read_bytes())
        if command["id"] in obeyed or "deaf" in words:
            continue
        obeyed.add(command["id"])
        if command["verb"] == "save":
            save(step, "person")
        elif command["verb"] == "sample":
            for index, prompt in enumerate(command["params"]["prompts"]):
                say("sample", when="now", index=index, step=step, prompt=prompt, answer=prompt.upper())
        else:
            wish = command["verb"]
        say("ack", command=command["id"])
    return wish or ("sigterm" if terminated and "deaf" not in words else None)


def misbehave(step):
    at, _, number = words.get("dieat", "0,9").partition(",")
    if step == int(at) or ("die" in words and step > steps / 2):
        os.kill(os.getpid(), int(number or 9))
    if step == int(words.get("hangat", 0)):
        time.sleep(3600)


def bring_rows():
    """An import: the rows of a file become a version, at once; it takes as long as it is told to."""
    from engine.contract.paths import Home
    from tests.helpers.dataset_folders import write_version

    home, source = Home.find(), order["spec"]["job"]["source"]
    say("started", pid=os.getpid(), environment={})
    for step in range(steps):
        say("phase", phase="reading", done=step / steps, rows_done=step)
        time.sleep(delay)
        wish = commands(step)
        if wish:
            paused = wish == "pause"
            end("paused" if paused else "stopped", f"{'paused' if paused else 'stopped'}_by_person", 77, step)
    if "die" in words:
        os.kill(os.getpid(), signal.SIGKILL)
    made = home.dataset(source["place"]) if source["kind"] == "version" else Path(source["place"])
    if source["kind"] == "upload":
        made = next(path for path in home.upload(source["place"]).iterdir() if not path.name.startswith("."))
    texts = [line for line in made.read_text().splitlines() if line]
    found = write_version(home, texts)
    line = {"rows": found.rows, "refused": found.refused, "bytes": found.bytes, "format": found.format}
    say("dataset", hash=found.hash, manifest_sha256="0" * 64, **line)
    if "dieafter" in words:
        os.kill(os.getpid(), signal.SIGKILL)
    end("completed", "finished", 0, steps)


if order["spec"]["job"]["kind"] == "import":
    bring_rows()
say("started", pid=os.getpid(), environment={"python": sys.version.split()[0]})
print("stub worker at work", flush=True)
say("phase", phase="loading")
start = begin()
say("planned", total_steps=steps, epochs=1.0, rows=steps, device="cpu", precision="fp32")
say("device", values={"cpu.utilisation": 50.0, "ram.used": 1e9, "ram.total": 2e9}, names={"cpu": "Stub"})
if not start:
    say("score", when="before", value=0.0, correct=0, rows=10)
say("phase", phase="training")
wish, step = None, start
for step in range(start + 1, steps + 1):
    values = {"loss": 2.0 / step, "learning_rate": 1e-4, "step_seconds": delay}
    say("step", step=step, epoch=step / steps, values=values)
    if every and step % every == 0:
        save(step, "steps")
    misbehave(step)
    if "clock" in words:
        print(f"{time.time():.6f} step {step}", flush=True)
    time.sleep(delay)
    wish = commands(step)
    while not wish and "held" in words and step == steps - 1 and not (run_folder / "go").exists():
        time.sleep(0.05)
        say("device", values={"cpu.utilisation": 1.0}, names={"cpu": "Stub"})  # a sign of life
        wish = commands(step)
    if wish:
        break
if wish == "stop_without_saving":
    end("stopped", "stopped_by_person", 1, step)
if wish == "pause":
    save(step, "pause")
    end("paused", "paused_by_person", 77, step)
if wish == "sigterm" and not (folder / "control" / "stop.json").exists():
    save(step, "stop")
    end("stopped", "interrupted", 77, step)
if every:
    save(step, "stop" if wish else "end")
say("phase", phase="saving")
result = folder / "outputs" / "adapter"
result.mkdir(parents=True, exist_ok=True)
(result / "adapter_config.json").write_text('{"r": 8}')
(result / "adapter_model.safetensors").write_bytes(random.Random(1).randbytes(int(words.get("bytes", 1000))))
lines = sorted(f"{file.name} {sha(file.read_bytes())}" for file in result.iterdir())
whole = "" if "unhashed" in words else sha("\n".join(lines).encode())
say("artifact", artifact="adapter", path="outputs/adapter", bytes=1008, sha256=whole)
if wish:
    end("stopped", "stopped_by_person", 77, step)
say("phase", phase="evaluating_after")
say("score", when="after", value=0.9, correct=9, rows=10)
say("sample", when="after", index=0, prompt="2+2?", expected="4", answer="4", correct=True)
code = int(words.get("exit", 0))
if code == 0:
    say("ended", state="completed", reason="finished", step=steps, values={"loss": 2.0 / steps})
leave(code)
