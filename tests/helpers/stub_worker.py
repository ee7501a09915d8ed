"""A worker without torch that writes a real journal: for tests of everything around it.

Run as `python stub_worker.py -m engine.compute.worker FOLDER`. The run's name says how it behaves:
words `steps=N`, `delay=SECONDS` a step, `exit=CODE`, `die` (SIGKILL to itself after half), `deaf` (ignores SIGTERM),
`clock` (each step prints the time), `bytes=N` (of the adapter's weights).
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

folder = Path(sys.argv[-1])
order = json.loads((folder / "order.json").read_bytes())
words = dict(word.partition("=")[::2] for word in order["spec"]["name"].split())
steps, delay = int(words.get("steps", 5)), float(words.get("delay", 0))
stop = []
signal.signal(signal.SIGTERM, (lambda *_: None) if "deaf" in words else (lambda *_: stop.append("stop")))
journal = (folder / "journal.jsonl").open("ab", buffering=0)
seq = 0


def say(kind, **content):
    global seq
    seq += 1
    journal.write(json.dumps({"v": 1, "seq": seq, "t": time.time(), "kind": kind, **content}).encode() + b"\n")


def asked():
    if "deaf" in words:
        return None
    if (folder / "control" / "stop_without_saving.json").exists():
        return "stop_without_saving"
    return stop[0] if stop else None


say("started", pid=os.getpid(), environment={"python": sys.version.split()[0]})
print("stub worker at work", flush=True)
say("phase", phase="loading")
say("planned", total_steps=steps, epochs=1.0, rows=steps, device="cpu", precision="fp32")
say("device", values={"cpu.utilisation": 50.0, "ram.used": 1e9}, names={"cpu": "Stub"})
say("score", when="before", value=0.0, correct=0, rows=10)
say("phase", phase="training")
for step in range(1, steps + 1):
    say(
        "step", step=step, epoch=step / steps, values={"loss": 2.0 / step, "learning_rate": 1e-4, "step_seconds": delay}
    )
    if "die" in words and step > steps / 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if "clock" in words:
        print(f"{time.time():.6f} step {step}", flush=True)
    time.sleep(delay)
    if asked():
        break
wish = asked()
say("phase", phase="saving")
result = folder / "outputs" / "adapter"
result.mkdir(parents=True, exist_ok=True)
(result / "adapter_config.json").write_text('{"r": 8}')
(result / "adapter_model.safetensors").write_bytes(random.Random(1).randbytes(int(words.get("bytes", 1000))))
say("artifact", artifact="adapter", path="outputs/adapter", bytes=1008, sha256="")
if wish:
    say("ended", state="stopped", reason="stopped_by_person", step=step)
    sys.exit(77)
say("phase", phase="evaluating_after")
say("score", when="after", value=0.9, correct=9, rows=10)
say("sample", when="after", index=0, prompt="2+2?", expected="4", answer="4", correct=True)
code = int(words.get("exit", 0))
if code == 0:
    say("ended", state="completed", reason="finished", step=steps, values={"loss": 2.0 / steps})
sys.exit(code)
