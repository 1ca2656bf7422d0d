# SPDX-License-Identifier: GPL-2.0-or-later
"""What dom0 sees of its processor, on several models: features, vector registers, 32-bit system calls.

The expected answers are the reference's (docs/cpu-features.md).
"""

import re
import subprocess
from pathlib import Path

from image.cpio import CpioWriter
from qemu.machine import Machine
from system.case import Case, Context, expect, expect_no_complaints

SOURCES = Path(__file__).parent.parent / "guests"
SIGILL, SIGSEGV = 4, 11


def make_initrd(folder: Path) -> Path:
    """An initramfs with tests/guests/processor_view as /init."""
    root = folder / "root"
    for name in ("proc", "dev"):
        (root / name).mkdir(parents=True)
    for command in (["gcc", "-O1", "-static", "-o", root / "init", SOURCES / "processor_view.c"],
                    ["gcc", "-m32", "-O1", "-nostdlib", "-static", "-no-pie", "-fno-pic", "-ffreestanding",
                     "-fno-stack-protector", "-fno-omit-frame-pointer", "-fcf-protection=none",
                     "-o", root / "processor_view32", SOURCES / "processor_view32.c"]):
        done = subprocess.run(command, capture_output=True, text=True)
        expect(done.returncode == 0, f"gcc: {done.stderr.strip()[:300]}")
    archive = folder / "initrd"
    with open(archive, "wb") as stream:
        writer = CpioWriter(stream)
        writer.tree(root)
        writer.character_device("dev/console", 5, 1)
        writer.close()
    return archive


def sees(cpu: str, leaves: dict[str, str], features: set[str], calls: dict[str, str], vectors: bool):
    """Makes the test that boots this model. leaves: by number, what the emulated CPUID answers."""

    def run(context: Context):
        config = context.config(cpu=cpu, initrd=str(make_initrd(context.folder)), append="rdinit=/init")
        with Machine(config, context.log) as vm:
            vm.expect(r"^@@ processor complete$", context.limit(180))
            reason = vm.wait(context.limit(60))
            text = vm.text
        expect(reason == "guest-shutdown", f"the machine ended by {reason} instead of a power-off")
        expect_no_complaints(text)
        found = dict(re.findall(r"^@@ leaf (\S+) (.*)$", text, re.MULTILINE))
        for leaf, answer in leaves.items():
            expect(found.get(leaf) == answer, f"leaf {leaf} is {found.get(leaf)} and not {answer}")
        flags = set((re.findall(r"^@@ flags\s*: (.*)$", text, re.MULTILINE) or [""])[0].split())
        expect(features <= flags, f"dom0's kernel does not use {sorted(features - flags)}")
        for name, answer in calls.items():
            expect(f"@@ {name} {answer}\n" in text, f"a 32-bit process's {name} should say {answer!r}")
        if vectors:
            expect("@@ vectors 6 of 6\n" in text, "processes lose their vector registers")

    return run


def cases() -> list[Case]:
    return [
        Case("processor: AMD with AVX2, its vector registers, 32-bit system calls", sees(
            "max,-smap",
            {"00000001.0": "00060fb1 00020800 fed83203 1fc9c3f5", "00000007.0": "00000000 01880329 00000200 00000000",
             "0000000b.0": "00000000 00000000 00000000 00000000", "0000000d.1": "00000005 00000000 00000000 00000000",
             "40000000.0": "40000005 566e6558 65584d4d 4d4d566e", "80000001.0": "00060fb1 00000000 00000063 e9d1cbf5"},
            {"avx", "avx2", "xsave", "xsaveopt", "fma", "rdtscp", "fsgsbase"},
            {"syscall": "works", "sysenter": f"signal {SIGSEGV}", "sysenter with NT": f"signal {SIGSEGV}"}, True), True),
        Case("processor: Intel without AVX, 32-bit system calls", sees(
            "qemu64,vendor=GenuineIntel,model=6,family=6",
            {"00000001.0": "00000661 00020800 80002001 1789cbf5", "80000000.0": "80000008 00000000 00000000 00000000",
             "80000001.0": "00000000 00000000 00000001 20100800"},
            {"sep", "syscall", "cx16"},
            {"syscall": f"signal {SIGILL}", "sysenter": "works", "sysenter with NT": "works"}, False)),
    ]
