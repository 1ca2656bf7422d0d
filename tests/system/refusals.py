# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines and modules that Domus cannot start with: it says so in one line, with what to do, and stops.

The line is `Domus cannot start: WHAT. WHAT TO DO.` The table is the agreement between boot/ and these tests.
"""

import re
from pathlib import Path
from typing import Callable

from qemu.machine import BUILD, Config, Ended, Machine
from system.case import Case, Context, expect

KERNEL = BUILD / "dom0/vmlinuz"
INITRD = BUILD / "dom0/initrd"
LINE = r"^(?:\(\w+\) |\[[^]]*\] )?Domus cannot start: (.+)$"


def modules(make: Callable[[Path], list[str]]):
    def change(config: Config, folder: Path):
        config.modules = make(folder)

    return change


def setting(**values):
    def change(config: Config, _: Path):
        for name, value in values.items():
            setattr(config, name, value)

    return change


def text_as_kernel(folder: Path) -> list[str]:
    (folder / "kernel").write_text("This is no kernel.\n" * 1000)
    return [f"{folder}/kernel console=hvc0"]


def payload_position() -> int:
    """Where a bzImage's packed kernel begins (Linux Documentation/arch/x86/boot.rst)."""
    image = KERNEL.read_bytes()
    return (image[0x1F1] + 1) * 512 + int.from_bytes(image[0x248:0x24C], "little")


def unknown_compression(folder: Path) -> list[str]:
    image = bytearray(KERNEL.read_bytes())
    start = payload_position()
    image[start:start + 8] = b"NOTKNOWN"
    (folder / "kernel").write_bytes(image)
    return [f"{folder}/kernel console=hvc0", str(INITRD)]


def damaged_payload(folder: Path) -> list[str]:
    image = bytearray(KERNEL.read_bytes())
    middle = payload_position() + 1_000_000
    image[middle:middle + 4096] = bytes(4096)
    (folder / "kernel").write_bytes(image)
    return [f"{folder}/kernel console=hvc0", str(INITRD)]


def truncated_kernel(folder: Path) -> list[str]:
    (folder / "kernel").write_bytes(KERNEL.read_bytes()[:1_000_000])
    return [f"{folder}/kernel console=hvc0", str(INITRD)]


def no_xen_note(folder: Path) -> list[str]:
    """The unpacked kernel with its ELF notes' owner renamed: a kernel, but none for this ABI."""
    kernel = (BUILD / "dom0/vmlinux").read_bytes()
    (folder / "kernel").write_bytes(kernel.replace(b"\4\0\0\0\4\0\0\0\5\0\0\0Xen\0", b"\4\0\0\0\4\0\0\0\5\0\0\0Yen\0")
                                    .replace(b"\x04\x00\x00\x00\x08\x00\x00\x00", b"\x04\x00\x00\x00\x08\x00\x00\x00")
                                    .replace(b"Xen\0", b"Yen\0"))
    return [f"{folder}/kernel console=hvc0", str(INITRD)]


# Name, what is different, and what the line must contain (a pattern, letter case ignored).
TABLE = [
    ("no module", modules(lambda _: []), r"module|kernel"),
    ("the first module is not a kernel", modules(text_as_kernel), r"kernel"),
    ("a kernel packed in an unknown way", modules(unknown_compression), r"compress|pack"),
    ("a kernel whose packed data are damaged", modules(damaged_payload), r"damaged|corrupt|unpack|decompress"),
    ("a kernel that is cut off", modules(truncated_kernel), r"kernel|truncated|short|cut"),
    ("a kernel without Xen's notes", modules(no_xen_note), r"kernel.*note|note.*kernel|PV|Xen"),
    ("too little memory", setting(memory="96M", dom0_memory="64M"), r"memory"),
    ("dom0_mem larger than the machine", setting(memory="1G", dom0_memory="16G"), r"dom0_mem|memory"),
    ("no long mode", setting(cpu="qemu32"), r"64-bit|long mode"),
    ("no NX", setting(cpu="qemu64,-nx"), r"NX|no-execute"),
    ("no ACPI", setting(machine="pc,acpi=off"), r"ACPI"),
    ("dom0_mem is no size", setting(dom0_memory="banana"), r"dom0_mem"),
    ("com1 is no speed", setting(hypervisor_options="com1=fast"), r"com1"),
    ("dom0_max_vcpus is no number", setting(hypervisor_options="dom0_max_vcpus=some"), r"dom0_max_vcpus"),
]


def refuses(change, pattern: str):
    def run(context: Context):
        config = context.config()
        change(config, context.folder)
        with Machine(config, context.log) as vm:
            said = vm.expect(LINE, context.limit(60)).group(1)
            # It must stop there: give it the time in which dom0 would have begun to speak.
            try:
                vm.expect(r"Linux version", context.limit(4))
            except Ended:
                pass
            text = vm.text
        for leftover in context.folder.glob("kernel"):
            leftover.unlink()
        lines = re.findall(LINE, text, re.MULTILINE)
        expect(len(lines) == 1, f"it said so {len(lines)} times")
        expect("Linux version" not in text, "it started dom0 all the same")
        expect(re.search(pattern, said, re.IGNORECASE) is not None, f"it said {said!r}, without /{pattern}/")
        expect(re.search(r"\. .+\.$", said) is not None, f"it said {said!r}, without what to do about it")

    return run


def cases() -> list[Case]:
    return [Case(f"refusal: {name}", refuses(change, pattern), True) for name, change, pattern in TABLE]
