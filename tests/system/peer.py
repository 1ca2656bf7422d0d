# SPDX-License-Identifier: GPL-2.0-or-later
"""The other end of dom0's network: a TCP service on the host's loopback, reached through QEMU's user network.

`get N`: sends N random bytes.  `put N`: takes N bytes and answers with their sha256. It remembers both digests.
"""

import hashlib
import random
import socketserver
import threading


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        verb, _, length = self.rfile.readline(100).decode("ascii", "replace").partition(" ")
        if verb == "get":
            data = self.server.random.randbytes(int(length))
            self.server.sent.append(hashlib.sha256(data).hexdigest())
            self.wfile.write(data)
        elif verb == "put":
            data = self.rfile.read(int(length))
            digest = hashlib.sha256(data).hexdigest()
            self.server.received.append(digest)
            self.wfile.write(f"{digest}\n".encode())


class Peer(socketserver.ThreadingTCPServer):
    """A context manager; `sent` and `received` are the digests so far, in order."""

    daemon_threads = True

    def __init__(self, seed: int):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.random = random.Random(seed)
        self.sent: list[str] = []
        self.received: list[str] = []

    @property
    def port(self) -> int:
        return self.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
