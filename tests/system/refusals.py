# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines and modules that Domus cannot start with: it says so in one line, with what to do, and stops.

The line is `Domus cannot start: WHAT. WHAT TO DO.` The table is the agreement between boot/ and these tests.
"""

import re
from pathlib import Path
from typing import Callable

from qemu.machine import BUILD, Config, Ended, Machine
from system.case import Case, Context, expect
from system.debugger import Debugger, entry_address

KERNEL = BUILD / "dom0/vmlinuz"
INITRD = BUILD / "dom0/initrd"
LINE = r"^.{0,40}?Domus cannot start: (.+)$"


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
    (folder / "kernel").write_bytes(kernel.replace(b"Xen\0", b"Yen\0"))
    return [f"{folder}/kernel console=hvc0", str(INITRD)]


# ACPI tables are damaged in memory, where the boot loader enters the hypervisor. Layouts: ACPI 6.5, section 5.2.

def root_pointer(debugger: Debugger) -> int:
    area = debugger.read(0xE0000, 0x20000)
    for offset in range(0, len(area), 16):
        if area[offset:offset + 8] == b"RSD PTR " and sum(area[offset:offset + 20]) & 0xFF == 0:
            return 0xE0000 + offset
    raise ValueError("the machine has no ACPI root pointer to damage")


def table(debugger: Debugger, signature: bytes) -> int:
    root = int.from_bytes(debugger.read(root_pointer(debugger) + 16, 4), "little")
    length = int.from_bytes(debugger.read(root + 4, 4), "little")
    entries = debugger.read(root + 36, length - 36)
    for offset in range(0, len(entries), 4):
        address = int.from_bytes(entries[offset:offset + 4], "little")
        if debugger.read(address, 4) == signature:
            return address
    raise ValueError(f"the machine has no ACPI table {signature!r} to damage")


def add_to_byte(debugger: Debugger, address: int, difference: int):
    debugger.write(address, bytes([(debugger.read(address, 1)[0] + difference) & 0xFF]))


def damage_root_pointer(debugger: Debugger):
    add_to_byte(debugger, root_pointer(debugger) + 8, 1)


def damage_madt_checksum(debugger: Debugger):
    add_to_byte(debugger, table(debugger, b"APIC") + 9, 1)


def damage_madt_entry(debugger: Debugger):
    """The first entry's length becomes 0, which would make a careless reader loop; the checksum is right."""
    madt = table(debugger, b"APIC")
    length = debugger.read(madt + 45, 1)[0]
    add_to_byte(debugger, madt + 45, -length)
    add_to_byte(debugger, madt + 9, length)


IN_MEMORY = (damage_root_pointer, damage_madt_checksum, damage_madt_entry)

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
    ("a damaged ACPI root pointer", damage_root_pointer, r"ACPI"),
    ("an ACPI MADT with a wrong checksum", damage_madt_checksum, r"ACPI|MADT"),
    ("an ACPI MADT with an entry of length 0", damage_madt_entry, r"ACPI|MADT"),
]


def refuses(change, pattern: str):
    def run(context: Context):
        config = context.config()
        in_memory = change in IN_MEMORY
        if in_memory:
            config.devices += Debugger.arguments(context.folder / "gdb")
        else:
            change(config, context.folder)
        with Machine(config, context.log) as vm:
            if in_memory:
                debugger = Debugger(context.folder / "gdb", vm)
                debugger.run_to(entry_address(context.hypervisor))
                change(debugger)
                debugger.detach()
            vm.expect(LINE, context.limit(60))
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
        said = lines[0].strip()  # the whole line: what was seen first may have been half of it
        expect(re.search(pattern, said, re.IGNORECASE) is not None, f"it said {said!r}, without /{pattern}/")
        expect(re.search(r"\. .+\.$", said) is not None, f"it said {said!r}, without what to do about it")

    return run


def names_the_need(context: Context):
    """Too small machines are told how much they need; with that much dom0's kernel starts."""
    line = r"Domus cannot start: the machine has (\d+) MiB of usable memory; .* need at least (\d+) MiB.* (\d+) MiB or more\.$"
    for memory in ("96M", "128M", "160M"):
        config = context.config(memory=memory)
        with Machine(config, context.log) as vm:
            found = vm.expect(line, context.limit(60))
        has, need, advice = (int(found.group(number)) for number in (1, 2, 3))
        expect(int(memory[:-1]) - 2 <= has <= int(memory[:-1]), f"it says that {memory} are {has} MiB")
        expect(has < need < advice, f"it says that {has} MiB are fewer than {need} and advises {advice}")
    config = context.config(memory=f"{advice}M", dom0_memory="-16M")
    with Machine(config, context.log) as vm:
        vm.expect(r"Linux version", context.limit(60))


# What docs/command-line.md promises of these words: a line in the log, and no other effect.
NOT_UNDERSTOOD = ("dom0_mem=banana", "com1=fast", "dom0_max_vcpus=some")
UNKNOWN = ("nonsense=1",)


def tolerates_bad_options(context: Context):
    config = context.config(hypervisor_options=" ".join(NOT_UNDERSTOOD + UNKNOWN))
    with Machine(config, context.log) as vm:
        vm.expect(r"^\s*dom0: Linux .* on xen, 2 CPU", context.limit(180))
        text = vm.text
    for word in NOT_UNDERSTOOD:
        found = re.findall(rf"'{re.escape(word)}' is not understood: expected {word.split('=')[0]}=", text)
        expect(len(found) == 1, f"the log says {len(found)} times that {word} is not understood")
    for word in UNKNOWN:
        expect(f"unknown option '{word}'" in text, f"the log does not say that {word} is unknown")


def cases() -> list[Case]:
    tolerated = Case("options that are unknown or not understood are named, and dom0 boots", tolerates_bad_options, True)
    need = Case("too little memory: it says how much is needed, and that is enough", names_the_need, True)
    return [tolerated, need] + [Case(f"refusal: {name}", refuses(change, pattern), True) for name, change, pattern in TABLE]
