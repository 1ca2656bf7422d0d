# SPDX-License-Identifier: GPL-2.0-or-later
"""Stops a machine at an address, looks at its registers and memory and changes them.

Speaks the GDB remote protocol (GDB manual, appendix E) with QEMU's stub, and Multiboot 1's header.
"""

import select
import socket
import struct
import subprocess
import time
from pathlib import Path

from qemu.machine import Ended, Machine


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


def symbols(hypervisor: str) -> dict[str, int]:
    """The addresses of the image's functions, by their names without parameters (tools/make-symbols)."""
    listing = subprocess.run(["nm", "-C", hypervisor], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in listing.splitlines():
        address, kind, name = line.split(" ", 2)
        if kind in "tTwWrRdDbB":
            name = name.replace("(anonymous namespace)::", "")
            found.setdefault(name.split("(")[0].removeprefix("domus::"), int(address, 16))
    return found


# The stub's order of x86-64 registers, 8 bytes each.
REGISTERS = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
             "rip")


class Debugger:
    """A connection to the stub; QEMU is started with arguments(path) added. The machine stands still from here on."""

    def __init__(self, path: Path, vm: Machine):
        self._vm = vm
        self._socket = socket.socket(socket.AF_UNIX)
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
    def arguments(path: Path, stopped: bool = True) -> list[str]:
        """`stopped`: the machine does not begin to run before the debugger says so."""
        words = ["-chardev", f"socket,id=gdb,path={path},server=on,wait=off", "-gdb", "chardev:gdb"]
        return ["-S"] + words if stopped else words

    def _send(self, packet: str):
        checksum = sum(packet.encode()) & 0xFF
        self._socket.sendall(f"${packet}#{checksum:02x}".encode())

    def _answer(self) -> str:
        deadline = time.monotonic() + 240
        while True:
            begin = self._buffer.find(b"$")
            end = self._buffer.find(b"#", begin)
            if 0 <= begin < end and len(self._buffer) >= end + 3:
                answer = self._buffer[begin + 1:end].decode()
                self._buffer = self._buffer[end + 3:]
                self._socket.sendall(b"+")
                return answer
            # The console must be read meanwhile: with a full buffer it would lose characters.
            if select.select([self._socket], [], [], 0.02)[0]:
                data = self._socket.recv(65536)
                if not data:
                    raise Ended("QEMU closed the debugger's connection")
                self._buffer += data
            elif time.monotonic() > deadline:
                raise Ended(f"the debugger got no answer from QEMU; {self._vm.last_words()}")
            else:
                self._vm.watch(0.02)

    def _ask(self, packet: str) -> str:
        self._send(packet)
        answer = self._answer()
        # A machine that ran until the debugger came says at some point that it has stopped.
        while answer.startswith("T") and packet not in ("c", "s"):
            answer = self._answer()
        return answer

    def run_to(self, address: int):
        if self._ask(f"Z1,{address:x},1") != "OK":
            raise OSError("QEMU refused the breakpoint")
        if not self._ask("c").startswith("T"):
            raise Ended("the machine did not stop at the breakpoint")
        if self._ask(f"z1,{address:x},1") != "OK":
            raise OSError("QEMU did not take the breakpoint away")

    def step(self):
        """One instruction of the CPU that has stopped."""
        if not self._ask("s").startswith("T"):
            raise OSError("the machine did not stop after a step")

    def registers(self) -> dict[str, int]:
        """Of the CPU that has stopped."""
        data = bytes.fromhex(self._ask("g"))
        return {name: int.from_bytes(data[8 * i:8 * i + 8], "little") for i, name in enumerate(REGISTERS)}

    def set_registers(self, **values: int):
        data = bytearray.fromhex(self._ask("g"))
        for name, value in values.items():
            at = 8 * REGISTERS.index(name)
            data[at:at + 8] = value.to_bytes(8, "little")
        if self._ask(f"G{data.hex()}") != "OK":
            raise OSError("QEMU refused to set registers")

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
