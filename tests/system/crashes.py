# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of the hypervisor itself, provoked from outside: one CPU reports, whole and unmixed, and the machine ends as told."""

import re
import time

from qemu.machine import Machine
from system.boots import command, prompt
from system.case import Case, Context, expect
from system.debugger import Debugger, symbols

BEGIN = r"^\(domus\) ----- (Domus has crashed|Domus has stopped|Dom0 has crashed).*$"
END = r"^\(domus\) ----- End of the report -----$"
REBOOTS = "Rebooting in five seconds."
STAYS = "Stopped here, as noreboot asks."

# Machine code. It is put where the first hypercall of dom0 arrives, in a function that every CPU runs all the time.
UNDEFINED = bytes.fromhex("0f0b")
READ_NON_CANONICAL = bytes.fromhex("48b800000000000000808a00")  # movabs $1<<63, %rax; mov (%rax), %al
READ_UNMAPPED = bytes.fromhex("48b80000adde80ffffff8a00")  # movabs $0xffffff80dead0000, %rax; mov (%rax), %al
WRITE_OWN_CODE = bytes.fromhex("48b80000000080 82ffff c60000".replace(" ", ""))  # movabs image_start, %rax; movb $0, (%rax)
EXECUTE_DATA = bytes.fromhex("ffe4")  # jmp *%rsp
CALL_ITSELF = bytes.fromhex("e8fbffffff")
LOSE_THE_STACK = bytes.fromhex("31e450")  # xor %esp, %esp; push %rax

PLACE = "pv::iret"


def report(text: str) -> list[str]:
    """The lines of the one report, which nothing else interrupts."""
    begins, ends = re.findall(BEGIN, text, re.MULTILINE), re.findall(END, text, re.MULTILINE)
    expect(len(begins) == 1, f"there are {len(begins)} reports")
    expect(len(ends) == 1, f"the report has {len(ends)} ends")
    lines = text[re.search(BEGIN, text, re.MULTILINE).start():re.search(END, text, re.MULTILINE).end()].splitlines()
    strangers = [line for line in lines if not line.startswith("(domus) ")]
    expect(not strangers, f"the report is mixed with {strangers[:3]}")
    expect("cut short" not in text, "the report was cut short")
    return [line.removeprefix("(domus) ") for line in lines]


def has(lines: list[str], pattern: str, times: int = 1):
    found = sum(1 for line in lines if re.search(pattern, line))
    expect(found >= times, f"the report has {found} lines with /{pattern}/, not {times}")


def check_end(vm: Machine, context: Context, stays: bool, nmi: bool = False):
    """Reboots, or stays and says nothing more; with `nmi` though the board raises one meanwhile."""
    if not stays:
        vm.expect(re.escape(REBOOTS), context.limit(30))
        if nmi:
            vm.qmp("inject-nmi")
        reason = vm.wait(context.limit(60))
        expect(reason == "guest-reset", f"the machine ended by {reason} instead of a reset")
        return
    vm.expect(re.escape(STAYS), context.limit(30))
    said = len(vm.text)
    vm.watch(context.limit(7))  # longer than the five seconds to a reboot
    expect(vm.text[said:].strip() == "", f"it went on to say {vm.text[said:]!r}")


def last_report(vm: Machine, context: Context, stays: bool, nmi: bool = False) -> list[str]:
    """Waits for the report and for what must follow it; returns the report's lines."""
    vm.expect(END, context.limit(60))
    check_end(vm, context, stays, nmi)
    return report(vm.text)


def faults(code: bytes, first: str, more: tuple[str, ...] = (), running: bool = False, stays: bool = False,
           frames: tuple[str, ...] = (PLACE, "syscall_entry")):
    """Makes the test of one fault: when dom0 starts, or with `running` when it is up and busy on both CPUs."""

    def run(context: Context):
        path = context.folder / "gdb"
        config = context.config(hypervisor_options="noreboot" if stays else "")
        config.devices += Debugger.arguments(path, stopped=not running)
        with Machine(config, context.log) as vm:
            if running:
                prompt(vm, context)
                vm.type("while :; do :; done & while :; do :; done &\n")
                vm.expect(r"dom0# $", context.limit(20))
                time.sleep(context.limit(1))
            debugger = Debugger(path, vm)
            address = symbols(context.hypervisor)[PLACE]
            debugger.run_to(address)
            debugger.write(address, code)
            debugger.detach()
            vm.expect(BEGIN, context.limit(60))
            lines = last_report(vm, context, stays)
        has(lines, first)
        for pattern in more:
            has(lines, pattern)
        has(lines, r"^rip [0-9a-f]{16}  cs e008  rflags")
        has(lines, r"^r13 [0-9a-f]{16}")
        has(lines, r"^cr0 [0-9a-f]{16}  cr2")
        has(lines, r"^Call trace:")
        for frame in frames:
            has(lines, rf"^  [0-9a-f]{{16}}  {frame}\+0x")
        has(lines, r"^Guest: d0v[0-9]+, in kernel mode")
        has(lines, r"^Last events on CPU [0-9]+, newest first:")
        has(lines, r" us ago  hypercall [0-9]+ \(0x")
        if running:
            has(lines, r"^Last events on CPU [0-9]+:")
            has(lines, r" us ago  (interrupt|guest exception|switch)")

    return run


def early(place: str):
    """A fault before the machine is set up: reported all the same, on one CPU and without a guest."""

    def run(context: Context):
        path = context.folder / "gdb"
        config = context.config()
        config.devices += Debugger.arguments(path)
        with Machine(config, context.log) as vm:
            debugger = Debugger(path, vm)
            address = symbols(context.hypervisor)[place]
            debugger.run_to(address)
            debugger.write(address, UNDEFINED)
            debugger.detach()
            lines = last_report(vm, context, False)
        has(lines, r"Domus has crashed: invalid opcode .* on CPU 0 -----$")
        has(lines, rf"^  [0-9a-f]{{16}}  {place}\+0x0$")
        has(lines, r"^No guest was running")

    return run


def nmi_ignored_and_told(context: Context):
    """An NMI of the board's on all CPUs: one line, dom0 hears of it, nothing ends."""
    with Machine(context.config(), context.log) as vm:
        prompt(vm, context)
        vm.qmp("inject-nmi")
        vm.expect(r"NMI on CPU [0-9]+: its cause is unknown$", context.limit(20))
        vm.type("\n")
        vm.expect(r"dom0# $", context.limit(20))
        # The kernel says so in its log, once for the CPU that dom0's first vCPU is.
        command(vm, context, "dmesg | grep -c 'NMI received for unknown reason'\n", r"^[1-9]$")
        vm.type("poweroff -f\n")
        reason = vm.wait(context.limit(60))
    expect(reason == "guest-shutdown", f"the machine ended by {reason}")
    expect("-----" not in vm.text, "there is a crash report")


def nmi_fatal(context: Context):
    """The same with nmi=fatal: the CPUs take it at once, one of them reports."""
    with Machine(context.config(hypervisor_options="nmi=fatal", cpus=4), context.log) as vm:
        prompt(vm, context)
        vm.type("while :; do :; done & while :; do :; done & while :; do :; done &\n")
        vm.expect(r"dom0# $", context.limit(20))
        vm.qmp("inject-nmi")
        lines = last_report(vm, context, False)
    has(lines, r"Domus has crashed: NMI \(vector 2, error code 0\) on CPU [0-3] -----$")
    has(lines, r"^Last events on CPU [0-9]+:", 3)


def machine_check(broadcast: bool, stays: bool):
    def run(context: Context):
        options = "noreboot" if stays else ""
        with Machine(context.config(hypervisor_options=options), context.log) as vm:
            prompt(vm, context)
            # Bank 1; valid, uncorrected, enabled, with an address, context corrupt; an error of the bus.
            said = vm.monitor(f"mce {'-b ' if broadcast else ''}1 1 0xb600000000000800 0x4 0x12345678 0")
            expect(said.strip() == "", f"QEMU does not raise the machine check: {said}")
            lines = last_report(vm, context, stays)
        has(lines, r"Domus has crashed: machine check \(vector 18, error code 0\) on CPU [01] -----$")
        has(lines, r"Machine check on CPU [01]: [0-9]+ banks, global status")
        if not broadcast:
            has(lines, r"bank 1: status b600000000000800, address 12345678")

    return run


def dom0_crashes(stays: bool, nmi: bool = False):
    def run(context: Context):
        with Machine(context.config(hypervisor_options="noreboot" if stays else ""), context.log) as vm:
            prompt(vm, context)
            vm.type("echo c > /proc/sysrq-trigger\n")
            lines = last_report(vm, context, stays, nmi)
            expect("Kernel panic" in vm.text, "dom0 itself did not say why")
        has(lines, r"^----- Dom0 has crashed -----$")
        has(lines, r"^Its vCPU [0-9]+ said so, on CPU [0-9]+, in kernel mode:$")
        has(lines, r"^rip ffffffff8[0-9a-f]{7}  cs e033")
        has(lines, r"^vCPU [0-9]+: (not )?running, last entered at rip")
        has(lines, r"hypercall 29 \(0x2, ...\)")  # sched_op, SCHEDOP_shutdown: the last thing it did

    return run


def debug_key(context: Context):
    """The ring of last events, read from the console without a crash."""
    with Machine(context.config(), context.log) as vm:
        prompt(vm, context)
        vm.type("\x01\x01\x01")
        vm.expect(r"input to the hypervisor", context.limit(20))
        vm.type("T")
        vm.expect(r"^\(domus\) Last events on CPU 1, oldest first:$", context.limit(30))
        vm.type("\x01\x01\x01")
        vm.expect(r"input to dom0", context.limit(30))
        command(vm, context, "echo still $((40 + 2))\n", r"^still 42$")
        vm.type("poweroff -f\n")
        vm.wait(context.limit(60))
        for pattern in (r" us ago  hypercall ", r" us ago  interrupt 0x", r" us ago  switch from d0v[01] to idle"):
            expect(re.search(pattern, vm.text) is not None, f"the events have no /{pattern}/")


def cases() -> list[Case]:
    return [
        Case("crash: an undefined instruction on busy CPUs: report, reboot",
             faults(UNDEFINED, r"invalid opcode \(vector 6, error code 0\) on CPU [01] -----$", running=True), True),
        Case("crash: the same with noreboot: report, stop",
             faults(UNDEFINED, r"invalid opcode \(vector 6", running=True, stays=True)),
        Case("crash: a non-canonical address", faults(READ_NON_CANONICAL, r"general protection \(vector 13, error code 0\)")),
        Case("crash: an unmapped address",
             faults(READ_UNMAPPED, r"page fault \(vector 14, error code 0\)", (r"^Faulting address ffffff80dead0000",)), True),
        Case("crash: a write to its own code",
             faults(WRITE_OWN_CODE, r"page fault \(vector 14, error code 3\)",
                    (r"^Faulting address ffff828000000000: read-only$",)), True),
        Case("crash: execution of data",
             faults(EXECUTE_DATA, r"page fault \(vector 14, error code 11\)", (r"^Faulting address .*: not code$",),
                    frames=()), True),
        Case("crash: a stack that overflows onto the page below it",
             faults(CALL_ITSELF, r"double fault \(vector 8", (r"^The stack has overflowed: [0-9a-f]+ is in the unmapped page",),
                    frames=()), True),
        Case("crash: a lost stack pointer",
             faults(LOSE_THE_STACK, r"double fault \(vector 8", (r"^The stack pointer [0-9a-f]+ is on no stack",),
                    frames=(PLACE,)), True),
        Case("crash: before memory is set up", early("boot::start_memory"), True),
        Case("crash: before the descriptor tables are", early("x86::create_cpu_area"), True),
        Case("an NMI of the board's: dom0 is told", nmi_ignored_and_told, True),
        Case("an NMI with nmi=fatal on four busy CPUs: one report", nmi_fatal),
        Case("a machine check on one CPU", machine_check(False, False), True),
        Case("a machine check on all CPUs at once, noreboot", machine_check(True, True)),
        Case("dom0's kernel panics: report, reboot, which an NMI does not stop", dom0_crashes(False, nmi=True), True),
        Case("dom0's kernel panics, noreboot: report, stop", dom0_crashes(True)),
        Case("the ring of last events by debug key", debug_key, True),
    ]
