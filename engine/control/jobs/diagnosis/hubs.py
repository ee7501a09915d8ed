"""Hubs and the way to them."""

from __future__ import annotations

from engine.control.jobs.diagnosis.changes import changed, setting
from engine.control.jobs.diagnosis.evidence import Evidence
from engine.control.jobs.diagnosis.rule import Finding, Rule, signs

NOT_HAD = "An error happened while trying to locate the file on the Hub"
REFUSED = ("429 Too Many Requests", "HTTP Error 429", "429 Client Error")
CLOSED_CODES = ("hub.unreachable", "hub.stalled", "hub.proxy_refused")


def network_closed(evidence: Evidence) -> Finding | None:
    """The run itself forbids its worker the network, and its model lies on a hub."""
    if evidence.code not in CLOSED_CODES or evidence.job is None or evidence.spec.compute.network != "none":
        return None
    params = {"endpoint": evidence.param("endpoint") or evidence.job.model.hub}
    return Finding(params, changed(evidence, ("compute.network", "auto")))


def too_many_requests(evidence: Evidence) -> Finding | None:
    """The hub said 429; what a library says in the end is often no more than that it has no file."""
    ended_there = any(sign in evidence.ending for sign in (NOT_HAD, *REFUSED))
    return Finding() if ended_there and any(sign in evidence.text for sign in REFUSED) else None


HUBS: tuple[Rule, ...] = (
    Rule(
        "network_closed",
        "hub",
        network_closed,
        "a hub is out of reach, and the run's config forbids the network",
        settings=("compute.network",),
    ),
    Rule(
        "hub_too_many_requests",
        "hub",
        too_many_requests,
        "a hub was asked too often",
        over=("hub_away",),
    ),
    signs(
        "hub_certificate",
        "hub",
        r"CERTIFICATE_VERIFY_FAILED",
        "a certificate that this computer does not trust, a company's proxy's most often",
        over=("hub_away",),
        at_end=True,
    ),
    signs(
        "hub_away",
        "hub",
        (
            r"We couldn't connect to '(?P<endpoint>https?://[^'\n]{1,160})'",
            NOT_HAD,
            r"Name or service not known",
            r"Temporary failure in name resolution",
        ),
        "a library wants a file from a hub, and none answers",
        advice=setting(("compute.network", "auto")),
        settings=("compute.network",),
        params={"endpoint": "the hub"},
        at_end=True,
    ),
)
