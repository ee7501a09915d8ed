"""A bucket on loopback that speaks as much S3 as pyarrow asks for; it can damage and cut what it holds."""

from __future__ import annotations

import io
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Bucket:
    """What is in it, by key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.puts: list[str] = []
        self.goes_when_asked: str | None = None
        """The object with this end of a name goes as soon as somebody has asked whether it is there."""
        self.refuse_after: int | None = None
        """So many more writes are taken."""
        self.keys: set[str] | None = None
        """Access keys that are known; None: all."""
        self.gone = False
        """There is no such bucket."""
        self.cut_after: int | None = None
        """The link is cut in the middle of a write once so many bytes more came in."""
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, *args: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # it was cut
            self.close_connection = True

    @property
    def key(self) -> str:
        return unquote(urlsplit(self.path).path).partition("/")[2].partition("/")[2]

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()}

    def parse_request(self) -> bool:
        """Who may not, or asks for what is not there, hears of that first."""
        if not super().parse_request():
            return False
        bucket, key = self.bucket, re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
        error = (404, "NoSuchBucket") if bucket.gone else None
        if bucket.keys is not None and (key is None or key[1] not in bucket.keys):
            error = (403, "InvalidAccessKeyId")
        if error is None:
            return True
        self.close_connection = True
        if self.command in ("PUT", "POST"):
            self.body()
        self.answer(error[0], f"<Error><Code>{error[1]}</Code><Message>no</Message></Error>".encode())
        return False

    def body(self) -> bytes:
        data = self._body()
        with self.bucket.lock:
            if self.bucket.cut_after is not None and self.command == "PUT":
                self.bucket.cut_after -= len(data)
                if self.bucket.cut_after < 0:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    raise ConnectionAbortedError
        return data

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            data = _joined(self.rfile)
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            return _joined(io.BytesIO(data))  # sums follow behind, which nobody checks here
        return data

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self) -> None:
        data, query, bucket = self.body(), self.query, self.bucket
        with bucket.lock:
            if bucket.refuse_after is not None:
                bucket.refuse_after -= 1
                if bucket.refuse_after < 0:
                    error = b"<Error><Code>AccessDenied</Code><Message>no more</Message></Error>"
                    return self.answer(403, error)
            if "uploadId" in query:
                bucket.uploads[query["uploadId"]][int(query["partNumber"])] = data
            else:
                bucket.objects[self.key] = data
            bucket.puts.append(self.key)
        return self.answer(200, ETag='"x"')

    def do_POST(self) -> None:
        data, query, bucket = self.body(), self.query, self.bucket
        with bucket.lock:
            if "uploads" in query:
                name = f"u{len(bucket.uploads)}"
                bucket.uploads[name] = {}
                text = f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
            elif "uploadId" in query:
                parts = bucket.uploads.pop(query["uploadId"])
                bucket.objects[self.key] = b"".join(parts[number] for number in sorted(parts))
                text = f"<CompleteMultipartUploadResult><Key>{escape(self.key)}</Key></CompleteMultipartUploadResult>"
            else:
                for key in re.findall(rb"<Key>(.*?)</Key>", data):
                    bucket.objects.pop(key.decode(), None)
                text = "<DeleteResult></DeleteResult>"
        self.answer(200, f'<?xml version="1.0"?>{text}'.encode(), Content_Type="application/xml")

    def do_HEAD(self) -> None:
        found = self.bucket.objects.get(self.key) if self.key else b""
        if found is None:
            return self.answer(404)
        ending = self.bucket.goes_when_asked
        if ending is not None and self.key.endswith(ending):
            del self.bucket.objects[self.key]
        return self.answer(200, Content_Length=str(len(found)), ETag='"x"', **self._date)

    def do_GET(self) -> None:
        if not self.key:
            return self._list()
        found = self.bucket.objects.get(self.key)
        if found is None:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        wanted = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if wanted is None:
            return self.answer(200, found, ETag='"x"', **self._date)
        start, end = int(wanted[1]), min(int(wanted[2]), len(found) - 1)
        place = f"bytes {start}-{end}/{len(found)}"
        return self.answer(206, found[start : end + 1], Content_Range=place, ETag='"x"', **self._date)

    def do_DELETE(self) -> None:
        self.bucket.objects.pop(self.key, None)
        self.answer(204)

    def _list(self) -> None:
        prefix = self.query.get("prefix", "")
        found = sorted(key for key in self.bucket.objects if key.startswith(prefix))
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.bucket.objects[key])}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in found
        )
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>{len(found)}</KeyCount>{rows}"
        self.answer(200, f'<?xml version="1.0"?>{text}</ListBucketResult>'.encode(), Content_Type="application/xml")

    @property
    def _date(self) -> dict[str, str]:
        return {"Last_Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "Content_Type": "application/octet-stream"}


def _joined(stream: Any) -> bytes:
    """Chunks, each with its size in front, up to the empty one."""
    found = b""
    while size := int(re.split(rb"[;\r]", stream.readline())[0], 16):
        found += stream.read(size)
        stream.readline()
    return found


@contextmanager
def s3_double() -> Iterator[tuple[Bucket, str]]:
    """The bucket, and the host and port it answers at."""
    bucket = Bucket()
    handler = type("Handler", (_Handler,), {"bucket": bucket})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield bucket, f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
