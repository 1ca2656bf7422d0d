# SPDX-License-Identifier: GPL-2.0-or-later
"""Stops a machine where the boot loader enters the hypervisor and changes its memory there.

Speaks the GDB remote protocol (GDB manual, appendix E) with QEMU's stub, and Multiboot 1's header.
"""

import socket
import struct
import time
from pathlib import Path


def entry_address(hypervisor: str) -> int:
    """Where a Multiboot 1 loader jumps to (Multiboot 0.6.96, section 3.1; or the ELF header)."""
    image = Path(hypervisor).read_bytes()
    for offset in range(0, 8192, 4):
        magic, flags, checksum = struct.unpack_from("<III", image, offset)
        if magic == 0x1BADB002 and (magic + flags + checksum) & 0xFFFFFFFF == 0:
            if flags & 0x10000:
                return struct.unpack_from("<I", image, offset + 28)[0]
            break
    else:
        raise ValueError(f"{hypervisor} has no Multiboot header")
    return struct.unpack_from("<I" if image[4] == 1 else "<Q", image, 0x18)[0]


class Debugger:
    """A connection to the stub; QEMU is started with arguments(path) added."""

    def __init__(self, path: Path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        for attempt in range(100):
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                if attempt == 99:
                    raise
                time.sleep(0.1)
        self._buffer = b""

    @staticmethod
    def arguments(path: Path) -> list[str]:
        return ["-S", "-chardev", f"socket,id=gdb,path={path},server=on,wait=off", "-gdb", "chardev:gdb"]

    def _ask(self, packet: str, answered: bool = True) -> str:
        checksum = sum(packet.encode()) & 0xFF
        self._socket.sendall(f"${packet}#{checksum:02x}".encode())
        while answered:
            begin = self._buffer.find(b"$")
            end = self._buffer.find(b"#", begin)
            if 0 <= begin < end and len(self._buffer) >= end + 3:
                answer = self._buffer[begin + 1:end].decode()
                self._buffer = self._buffer[end + 3:]
                self._socket.sendall(b"+")
                return answer
            data = self._socket.recv(65536)
            if not data:
                raise OSError("QEMU closed the debugger's connection")
            self._buffer += data
        return ""

    def run_to(self, address: int):
        if self._ask(f"Z1,{address:x},1") != "OK":
            raise OSError("QEMU refused the breakpoint")
        if not self._ask("c").startswith("T"):
            raise OSError("the machine did not stop at the breakpoint")
        self._ask(f"z1,{address:x},1")

    def read(self, address: int, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = min(1024, length - len(data))
            data += bytes.fromhex(self._ask(f"m{address + len(data):x},{part:x}"))
        return data

    def write(self, address: int, data: bytes):
        if self._ask(f"M{address:x},{len(data):x}:{data.hex()}") != "OK":
            raise OSError(f"QEMU refused to write at {address:#x}")

    def detach(self):
        """Lets the machine run on alone."""
        self._ask("D")
        self._socket.close()
