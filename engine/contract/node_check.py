from typing import Any, Mapping
from engine.contract.errors import Problem
def problems_of(values: Mapping[str, Any], look: bool = True) -> list[Problem]:
    return []
