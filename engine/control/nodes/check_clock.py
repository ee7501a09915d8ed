"""Whether both clocks agree: certificates, curves over time and expiry dates hang on it."""

from __future__ import annotations

import re
import time
from datetime import datetime

from engine.contract.errors import UserError
from engine.control.nodes.findings import Finding, bad, ok, warning
from engine.control.nodes.visit import Visit

TOLERATED_S, LARGEST_S = 2.0, 300.0
_FRACTION = re.compile(r"\.(\d{1,6})\d*")


def clock(visit: Visit) -> Finding:
    """Docker tells the time there; half of the answer's way is its uncertainty."""
    before = time.time()
    there = str(visit.link.ask(lambda api: api.info(), 30.0).get("SystemTime", ""))
    after = time.time()
    return judge_clock(visit.node, there, (before + after) / 2, (after - before) / 2)


def judge_clock(node: str, there: str, here: float, uncertain: float) -> Finding:
    """By the difference: `there` as Docker writes it, `here` in seconds since the epoch."""
    try:
        skew = datetime.fromisoformat(_FRACTION.sub(r".\1", there).replace("Z", "+00:00")).timestamp() - here
    except ValueError:
        return ok()
    facts = {"skew": round(skew, 3), "uncertain": round(uncertain, 3)}
    off = max(0.0, abs(skew) - uncertain)
    if off <= TOLERATED_S:
        return ok(**facts)
    code = "node.clock_ahead" if skew > 0 else "node.clock_behind"
    error = UserError(code, node=node, amount=_amount(off))
    return bad(error, **facts) if off > LARGEST_S else warning(error, **facts)


def _amount(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
