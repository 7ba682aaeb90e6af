"""A receiver of whatever is posted, on loopback, that counts by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Receiver:
    """What arrived, as (path, body); `status` is what it answers."""

    url: str = ""
    status: int = 200
    arrived: list[tuple[str, bytes]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def await_count(self, count: int, *, seconds: float = 20) -> None:
        """Wait until that many have arrived."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.arrived) >= count, timeout=seconds)


@contextmanager
def receiving(status: int = 200) -> Iterator[Receiver]:
    """Run a receiver on a port of its own."""
    receiver = Receiver(status=status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with receiver.changed:
                if receiver.status < 300:
                    receiver.arrived.append((self.path, body))
                receiver.changed.notify_all()
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
