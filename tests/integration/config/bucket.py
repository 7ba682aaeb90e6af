"""An S3 of our own on loopback: one bucket in memory, which checks every signature."""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit

KEY, SECRET, REGION = "AKIDEXAMPLE", "wJalr/XUtnFEMI+K7MDENG", "eu-central-1"
NAME = "safe"


@dataclass
class Bucket:
    """What is in it, and what was asked of it."""

    objects: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    host: str = ""
    keeps: bool = False  # whether its key may not delete

    def url(self, *, secret: str = SECRET) -> str:
        """What BACKUP_S3_URL would be."""
        keys = f"{quote(KEY, safe='')}:{quote(secret, safe='')}"
        return f"http://{keys}@{self.host}/{NAME}/telbot?region={REGION}"

    def answer(self, method: str, key: str, query: dict[str, str], body: bytes) -> tuple[int, str]:
        """What is done, as (status, XML)."""
        upload = query.get("uploadId", "")
        if method == "POST" and "uploads" in query:
            self.parts[key] = {}
            return 200, f"<InitiateMultipartUploadResult><UploadId>{key}</UploadId></Initiate" \
                "MultipartUploadResult>"  # fmt: skip
        if method == "PUT" and upload:
            self.parts[upload][int(query["partNumber"])] = body
        elif method == "POST" and upload:
            parts = self.parts.pop(upload)
            self.objects[key] = b"".join(parts[number] for number in sorted(parts))
            return (
                200,
                "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>",
            )
        elif method == "PUT":
            self.objects[key] = body
        elif method == "POST" and "delete" in query:
            return self._deleted(body)
        elif method == "GET" and query.get("list-type") == "2":
            return 200, self._listed(query.get("prefix", ""))
        return 200, ""

    def _deleted(self, body: bytes) -> tuple[int, str]:
        if self.keeps:
            return 403, "<Error><Code>AccessDenied</Code></Error>"
        gone = re.findall(r"<Key>(.*?)</Key>", body.decode())
        for name in gone:
            self.objects.pop(name, None)
        rows = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in gone)
        return 200, f"<DeleteResult>{rows}</DeleteResult>"

    def _listed(self, prefix: str) -> str:
        rows = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>e</ETag><Size>{len(data)}</Size></Contents>"
            for key, data in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"


class _Handler(BaseHTTPRequestHandler):
    bucket: Bucket
    protocol_version = "HTTP/1.1"

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        key = unquote(url.path).removeprefix(f"/{NAME}").lstrip("/")
        self.bucket.asked.append(f"{self.command} {key}")
        if not signed_well(self, body):
            self._send(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        elif self.command == "GET" and key and key not in self.bucket.objects:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")
        elif self.command == "GET" and key:
            self._send(200, self.bucket.objects[key])
        else:
            status, xml = self.bucket.answer(self.command, key, query, body)
            self._send(status, xml.encode())

    do_GET = do_PUT = do_POST = _do  # noqa: N815 - names of http.server

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"e"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def signed_well(request: BaseHTTPRequestHandler, body: bytes) -> bool:
    """Whether the request is signed as AWS asks for it (version 4), by who knows the secret."""
    said = request.headers.get("Authorization", "")
    if not said.startswith("AWS4-HMAC-SHA256 "):
        return False
    parts = dict(part.strip().split("=", 1) for part in said.split(" ", 1)[1].split(","))
    key, day, region, service, _ = parts["Credential"].split("/")
    url, names = urlsplit(request.path), parts["SignedHeaders"].split(";")
    query = "&".join(
        sorted(
            f"{quote(name, safe='')}={quote(value, safe='')}"
            for name, value in parse_qsl(url.query, keep_blank_values=True)
        )
    )
    headers = "".join(f"{name}:{(request.headers[name] or '').strip()}\n" for name in names)
    sent = request.headers["x-amz-content-sha256"]
    canonical = "\n".join([request.command, url.path, query, headers, ";".join(names), sent])
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(
        ["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope,
         hashlib.sha256(canonical.encode()).hexdigest()]
    )  # fmt: skip
    derived = f"AWS4{SECRET}".encode()
    for word in (day, region, service, "aws4_request", text):
        derived = hmac.new(derived, word.encode(), hashlib.sha256).digest()
    whole = sent in {"UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()}
    return whole and key == KEY and region == REGION and derived.hex() == parts["Signature"]


@contextmanager
def bucket() -> Iterator[Bucket]:
    """A bucket that listens on loopback."""
    kept = Bucket()
    handler = type("Handler", (_Handler,), {"bucket": kept})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    kept.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
