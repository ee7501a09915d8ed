"""Which request a line is about: an id that comes with the request or is made, and spans for OpenTelemetry."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from engine.contract.errors import UserError

PARENT = re.compile(r"^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$")
REQUEST_ID = re.compile(r"^[A-Za-z0-9._:-]{1,128}$")
SDK = "opentelemetry.sdk"
EXPORTER = "opentelemetry.exporter.otlp.proto.http"
NAME = "loraforge.serving"


def trace_of(headers: Mapping[str, str]) -> str:
    """The id of a request: of its traceparent (W3C Trace Context), of its x-request-id, or a new one."""
    parent = PARENT.match(headers.get("traceparent", "").strip().lower())
    if parent is not None:
        version, trace, span, more = parent.groups()
        zeros = {"0"} in (set(trace), set(span))
        if version != "ff" and not zeros and not (version == "00" and more):  # later versions may say more
            return trace
    given = headers.get("x-request-id", "").strip()
    return given if REQUEST_ID.match(given) else secrets.token_hex(16)


class Tracer:
    """Spans to a collector where one is named; without one they cost nothing."""

    def __init__(self, provider: Any = None) -> None:
        self._tracer = provider.get_tracer(NAME) if provider is not None else None
        self._provider = provider

    @classmethod
    def to(cls, address: str) -> Tracer:
        """To a collector; refuses where its packages are missing."""
        if not address:
            return cls()
        missing = [name for name in (SDK, EXPORTER) if not _there(name)]
        if missing:
            raise UserError("serve.tracing_missing", address=address, packages=", ".join(missing))
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider(resource=Resource.create({"service.name": NAME}))
        exporter = OTLPSpanExporter(endpoint=address.rstrip("/") + "/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider)

    @contextlib.contextmanager
    def span(self, name: str, headers: Mapping[str, str], trace: str) -> Iterator[Any]:
        """A request's span, in the trace its header names; None without a collector."""
        if self._tracer is None:
            yield None
            return
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract(dict(headers))
        with self._tracer.start_as_current_span(name, context=context, kind=SpanKind.SERVER) as span:
            span.set_attribute("forge.trace", trace)
            yield span

    def close(self) -> None:
        """Send what is left."""
        if self._provider is not None and hasattr(self._provider, "shutdown"):
            self._provider.shutdown()


def _there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
