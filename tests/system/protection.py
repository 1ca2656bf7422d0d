# SPDX-License-Identifier: GPL-2.0-or-later
"""What the CPU is told to forbid: the hypervisor's page tables, and SMAP, SMEP and write protection at work."""

import re
import subprocess

from qemu.machine import Machine
from system.boots import SVM, prompt
from system.case import Case, Context, expect
from system.crashes import has, last_report
from system.debugger import Debugger, symbols

PRESENT, WRITABLE, USER, LARGE, NO_EXECUTE = 1, 2, 4, 0x80, 1 << 63
ADDRESS = 0x000FFFFFFFFFF000
CR0_WP, CR4_SMEP, CR4_SMAP, EFER_NXE = 1 << 16, 1 << 20, 1 << 21, 1 << 11

# The address map (arch/x86_64/state/layout.hpp) and a CPU's area in it (arch/x86_64/cpu_area.hpp).
FIRST_SLOT, END_SLOT, GUEST_M2P_SLOT, AREA_SLOT = 256, 272, 256, 260
AREA_STRIDE, AREA_STUB = 0x80000, 0x40000
GUARDS = (0x0000, 0x3000, 0x6000, 0x9000, 0xB000)
STACKS = (0x1000, 0x4000, 0x7000, 0xA000, 0xC000, 0xF000)


def slot_base(slot: int) -> int:
    return 0xFFFF000000000000 + (slot << 39)


def register(text: str, name: str) -> int:
    return int(re.search(rf"\b{name}\s*=\s*([0-9a-f]+)", text).group(1), 16)


def table(vm: Machine, address: int) -> list[int]:
    """A page table, from machine memory."""
    return [int(word, 16) for line in vm.monitor(f"xp /512gx {address:#x}").splitlines()
            for word in line.split(":")[1].split()]


def mappings(vm: Machine, root: int):
    """All of the hypervisor's mappings: address, size, and what every level together allows: writable, user, executable."""

    def walk(entries, base: int, level: int, writable: bool, user: bool, executable: bool):
        size = 1 << (12 + 9 * (level - 1))
        for index, entry in entries:
            if not entry & PRESENT:
                continue
            w = writable and bool(entry & WRITABLE)
            u = user and bool(entry & USER)
            x = executable and not entry & NO_EXECUTE
            at = base + index * size
            if level == 1 or (level in (2, 3) and entry & LARGE):
                yield at, size, w, u, x
            else:
                yield from walk(enumerate(table(vm, entry & ADDRESS)), at, level - 1, w, u, x)

    slots = [(slot, entry) for slot, entry in enumerate(table(vm, root)) if FIRST_SLOT <= slot < END_SLOT]
    yield from walk(slots, 0xFFFF000000000000, 4, True, True, True)


def page_tables(context: Context):
    """Nothing is both writable and executable; guests see the M2P, read-only, and nothing else; stacks are guarded."""
    names = symbols(context.hypervisor)
    text = range(names["image_start"], names["image_text_end"])
    read_only = range(names["image_start"], names["image_rodata_end"])
    with Machine(context.config(cpu=f"{SVM},+smep"), context.log) as vm:
        prompt(vm, context)
        vm.monitor("stop")
        registers = vm.monitor("info registers")
        found = list(mappings(vm, register(registers, "CR3") & ADDRESS))
    expect(register(registers, "CR0") & CR0_WP != 0, "CR0.WP is off")
    expect(register(registers, "CR4") & CR4_SMEP != 0, "CR4.SMEP is off")
    expect(register(registers, "EFER") & EFER_NXE != 0, "EFER.NXE is off")
    mapped, stubs = set(), 0
    for at, size, writable, user, executable in found:
        expect(not (writable and executable), f"{at:#x} is writable and executable")
        if user:
            expect(slot_base(GUEST_M2P_SLOT) <= at < slot_base(GUEST_M2P_SLOT + 1), f"user mode can reach {at:#x}")
            expect(not writable, f"user mode can write to {at:#x}")
        if executable and at not in text:
            area = at - slot_base(AREA_SLOT)
            expect(0 <= area < 2 * AREA_STRIDE and area % AREA_STRIDE == AREA_STUB, f"{at:#x} is executable")
            stubs += 1
        if at in read_only:
            expect(not writable, f"{at:#x} of the image's code or constants is writable")
        if slot_base(AREA_SLOT) <= at < slot_base(AREA_SLOT + 1):
            mapped.add(at - slot_base(AREA_SLOT))
    executable_text = sum(size for at, size, _, _, executable in found if executable and at in text)
    expect(executable_text == len(text), f"{executable_text} of {len(text)} bytes of code are executable")
    expect(stubs == 2, f"there are {stubs} entry stubs for 2 CPUs")
    for cpu in range(2):
        for guard in GUARDS:
            expect(cpu * AREA_STRIDE + guard not in mapped, f"CPU {cpu}: the page below a stack, at {guard:#x}, is mapped")
        for stack in STACKS:
            expect(cpu * AREA_STRIDE + stack in mapped, f"CPU {cpu}: the stack at {stack:#x} is not mapped")


def stop_in_first_copy(vm: Machine, context: Context, path) -> Debugger:
    """Where the hypervisor is about to read or write a guest's memory: at its STAC, if it uses SMAP."""
    debugger = Debugger(path, vm)
    debugger.run_to(symbols(context.hypervisor)["raw_copy"])
    while debugger.read(debugger.registers()["rip"], 3) not in (b"\x0f\x1f\x00", b"\x0f\x01\xcb"):
        debugger.step()
    return debugger


def smap_refuses(context: Context):
    """Without the STAC in front of it, the hypervisor's access to a guest's memory is a crash, not a refused copy."""
    path = context.folder / "gdb"
    config = context.config(cpu=f"{SVM},+smap,+smep")
    config.devices += Debugger.arguments(path)
    with Machine(config, context.log) as vm:
        debugger = stop_in_first_copy(vm, context, path)
        at = debugger.registers()["rip"]
        expect(debugger.read(at, 3) == b"\x0f\x01\xcb", "the code is not patched for SMAP")
        expect(register(vm.monitor("info registers"), "CR4") & CR4_SMAP != 0, "CR4.SMAP is off")
        debugger.set_registers(rip=at + 3)
        debugger.detach()
        lines = last_report(vm, context, False)
    has(lines, r"page fault \(vector 14, error code [13]\)")
    has(lines, r"^Faulting address .*: guest memory, touched outside of the copy routines \(SMAP\)")
    has(lines, r"^  [0-9a-f]{16}  raw_copy\+0x")


def smap_off(option: str):
    def run(context: Context):
        """The same with the option: the code is not patched, the step over its no-operation is harmless, dom0 boots."""
        path = context.folder / "gdb"
        config = context.config(cpu=f"{SVM},+smap", hypervisor_options=option)
        config.devices += Debugger.arguments(path)
        with Machine(config, context.log) as vm:
            debugger = stop_in_first_copy(vm, context, path)
            at = debugger.registers()["rip"]
            expect(debugger.read(at, 3) == b"\x0f\x1f\x00", f"the code is patched for SMAP in spite of {option}")
            expect(register(vm.monitor("info registers"), "CR4") & CR4_SMAP == 0, f"CR4.SMAP is on in spite of {option}")
            debugger.set_registers(rip=at + 3)
            debugger.detach()
            prompt(vm, context)

    return run


def smap_boots(context: Context):
    """
    dom0 runs where there is SMAP. QEMU before 8 applies it to user mode, so that the hypervisor must go on without: there
    this shows that it does so and says it once, and nothing of SMAP. From 10 on CR4 says that dom0 runs with it.
    """
    version = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True).stdout
    major = int(re.search(r"version (\d+)", version).group(1))
    with Machine(context.config(cpu=f"{SVM},+smap,+smep"), context.log) as vm:
        prompt(vm, context)
        cr4 = register(vm.monitor("info registers"), "CR4")
        vm.type("poweroff -f\n")
        vm.wait(context.limit(60))
        said = len(re.findall(r"SMAP: CPU [0-9]+ applies it to user mode", vm.text))
    expect(said == (1 if major < 8 else 0), f"it said {said} times that the CPU applies SMAP to user mode")
    if major >= 10:
        expect(cr4 & CR4_SMAP != 0, "CR4.SMAP is off")


def smep_refuses(context: Context):
    """The hypervisor never executes a guest's code, wherever it is led to jump."""
    path = context.folder / "gdb"
    config = context.config(cpu=f"{SVM},+smep")
    config.devices += Debugger.arguments(path)
    with Machine(config, context.log) as vm:
        debugger = Debugger(path, vm)
        debugger.run_to(symbols(context.hypervisor)["syscall_entry"])
        debugger.set_registers(rip=debugger.registers()["rcx"])  # where SYSCALL came from
        debugger.detach()
        lines = last_report(vm, context, False)
    has(lines, r"page fault \(vector 14, error code 11\)")
    has(lines, r"^Faulting address .*: guest memory, which the hypervisor never executes \(SMEP\)")


def cases() -> list[Case]:
    return [
        Case("page tables: nothing writable and executable, guarded stacks", page_tables, True),
        Case("SMAP: an access without leave is a crash", smap_refuses, True),
        Case("SMAP: off by smap=0", smap_off("smap=0"), True),
        Case("SMAP: off by nosmap", smap_off("nosmap")),
        Case("SMAP: dom0 boots", smap_boots, True),
        Case("SMEP: the hypervisor does not execute a guest's code", smep_refuses, True),
    ]
