"""Why a run failed, and what would help: rules over the end's reason, its error, its log and its config.

evidence.py   what is known of a failed run, and the one text in which rules look for signs
excerpt.py    a log of any size read at both ends; the few lines of it that matter
rule.py       what a rule is; how one is made of patterns
changes.py    settings that help, by their path in the run config
<area>.py     the rules of an area
registry.py   all rules in their order
judge.py      the first that finds something speaks
"""

from engine.control.jobs.diagnosis.evidence import Evidence
from engine.control.jobs.diagnosis.excerpt import read_log
from engine.control.jobs.diagnosis.judge import diagnose

__all__ = ["Evidence", "diagnose", "read_log"]
