"""Build the demo model: learn the tokenizer, pretrain, write `resources/demo/model`.

    .venv-worker/bin/python -m resources.demo.make_model

Takes about a quarter of an hour on two cores and needs no network.
"""

import argparse
import time
from pathlib import Path

from resources.demo.recipe import pretrain, tokenizer
from resources.demo.recipe.corpus import tokenizer_lines

MODEL = Path(__file__).parent / "model"


def main() -> None:
    """Build it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=MODEL)
    parser.add_argument("--steps", type=int, default=pretrain.STEPS)
    asked = parser.parse_args()
    started = time.monotonic()
    words = tokenizer.learn(tokenizer_lines(pretrain.SEED, chats=6000))
    print(f"{len(words)} tokens after {time.monotonic() - started:.0f} s", flush=True)
    model = pretrain.pretrain(words, asked.steps)
    asked.out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(words, asked.out)
    pretrain.save(model, asked.out)
    print(f"written to {asked.out} after {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
