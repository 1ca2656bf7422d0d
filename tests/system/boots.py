# SPDX-License-Identifier: GPL-2.0-or-later
"""dom0 on many machines: all CPUs, disks and network cards work, the console is interactive, the machine ends."""

import hashlib
import itertools
import re
import time

from qemu.machine import Machine
from system.case import Case, Context, expect, expect_no_complaints
from system.peer import Peer

SVM = "qemu64,+svm,+npt"
DISK_DATA = 8 << 20
WRITE_OFFSET = 16 << 20
DISK_SIZE = 32 << 20


def boots(machine="pc", cpu=SVM, cpus=2, memory="2G", dom0_memory="1G"):
    """Makes the test that boots one such machine and uses everything on it."""

    def run(context: Context):
        nonce = context.random.randrange(1_000_000, 9_000_000)
        written = "".join(f"{number}\n" for number in range(nonce + 1, nonce + 500_001)).encode()
        written_digest = hashlib.sha256(written).hexdigest()
        disks, read_digests = {}, {}
        for label in ("virtio", "ahci"):
            data = f"DOMUS-DISK {label}\n".encode().ljust(64, b"\0")
            data += context.random.randbytes(DISK_DATA - len(data))
            disks[label] = context.folder / f"{label}.img"
            disks[label].write_bytes(data)
            with open(disks[label], "r+b") as disk:
                disk.truncate(DISK_SIZE)
            read_digests[label] = hashlib.sha256(data).hexdigest()

        with Peer(context.seed) as peer:
            config = context.config(
                machine=machine, cpu=cpu, cpus=cpus, memory=memory, dom0_memory=dom0_memory,
                append=f"scenario=devices nonce={nonce} port={peer.port}",
                devices=["-drive", f"file={disks['virtio']},format=raw,if=virtio",
                         "-device", "ich9-ahci,id=sata",
                         "-drive", f"file={disks['ahci']},format=raw,if=none,id=hd",
                         "-device", "ide-hd,drive=hd,bus=sata.0",
                         "-netdev", "user,id=n2,net=10.0.2.0/24",
                         "-device", "virtio-net-pci,netdev=n2,mac=52:54:00:00:00:02",
                         "-netdev", "user,id=n3,net=10.0.3.0/24",
                         "-device", "e1000,netdev=n3,mac=52:54:00:00:00:03"])
            with Machine(config, context.log) as vm:
                vm.expect(r"^@@ dom0 is up$", context.limit(180))
                vm.expect(r"^@@ sleep 3$", context.limit(60))
                slept = -vm.elapsed()
                vm.expect(r"^@@ slept$", context.limit(60))
                slept += vm.elapsed()
                vm.expect(r"^@@ devices complete$", context.limit(240))
                vm.expect(r"reboot: Power down", context.limit(60))
                reason = vm.wait(context.limit(60))
                text = vm.text

        expect(reason == "guest-shutdown", f"the machine ended by {reason} instead of a power-off")
        expect_no_complaints(text)
        # The upper bound is generous: the console's reader may be late, but the clock must not be.
        expect(2.5 < slept < 12, f"dom0's 3 seconds took {slept:.1f} s")
        found = dict.fromkeys(re.findall(r"^@@ (.*)$", text, re.MULTILINE))

        def said(line: str):
            expect(line in found, f"dom0 did not say {line!r}")

        said(f"online {cpus}")
        for number in range(cpus):
            said(f"cpu {number} ran on {number}")
        for label, driver in (("virtio", "virtio-pci"), ("ahci", "ahci")):
            said(f"disk {label} driver {driver}")
            said(f"disk {label} read {read_digests[label]}")
            said(f"disk {label} wrote {written_digest}")
            with open(disks[label], "rb") as disk:
                disk.seek(WRITE_OFFSET)
                expect(disk.read(len(written)) == written, f"what dom0 wrote to the {label} disk is not on it")
        expect(len(peer.sent) == 2 and peer.received == [written_digest] * 2,
               f"the network peer sent {len(peer.sent)} files and received {len(peer.received)}, or not the right ones")
        received = [re.search(rf"^@@ net {driver} received ([0-9a-f]+)$", text, re.MULTILINE)
                    for driver in ("virtio_net", "e1000")]
        expect(all(received), "dom0 did not receive by both virtio_net and e1000")
        expect(sorted(match.group(1) for match in received) == sorted(peer.sent),
               "what dom0 received is not what was sent")
        for driver in ("virtio_net", "e1000"):
            said(f"net {driver} sent {written_digest} answered {written_digest}")
            count = re.search(rf"^@@ net {driver} rx_bytes (\d+)$", text, re.MULTILINE)
            expect(count and int(count.group(1)) > 2_000_000, f"the data did not come in through {driver}")
        for disk in disks.values():
            disk.unlink()

    return run


def prompt(vm: Machine, context: Context):
    vm.expect(r"^\s*dom0: Linux .* on xen, .*$", context.limit(180))
    vm.expect(r"dom0# $", context.limit(30))


def command(vm: Machine, context: Context, line: str, answer: str):
    """Types a line at the prompt; the answer must come, and then the next prompt."""
    vm.type(line)
    vm.expect(answer, context.limit(20))
    vm.expect(r"dom0# $", context.limit(20))


def interactive(context: Context):
    """A person at the console: commands, editing, job control, Ctrl-C, and poweroff -f."""
    a, b = context.random.randrange(1000, 9999), context.random.randrange(1000, 9999)
    digest = hashlib.sha256("".join(f"{n}\n" for n in range(1, 2001)).encode()).hexdigest()
    with Machine(context.config(), context.log) as vm:
        prompt(vm, context)
        command(vm, context, f"echo answer $(({a} * {b}))\n", rf"^answer {a * b}$")
        command(vm, context, "echo ab\x7fc$((1 + 1))\n", r"^ac2$")  # DEL takes the b back
        command(vm, context, "tty\n", r"^/dev/(console|hvc0)$")
        command(vm, context, "seq 1 2000 | sha256sum\n", rf"^{digest}  -$")
        command(vm, context, "sleep 1000 &\n", r"^\[1\] [0-9]+$")
        command(vm, context, "jobs\n", r"Running +sleep 1000")
        command(vm, context, "kill %1; wait; echo waited $((3 * 3))\n", r"^waited 9$")
        vm.type("sleep 1000\n")
        vm.expect(r"sleep 1000\n", context.limit(20))
        time.sleep(context.limit(1))  # until the shell has started it: nothing on the console says so
        command(vm, context, "\x03", r"\^C")
        command(vm, context, "echo status $?\n", r"^status 130$")
        vm.type("poweroff -f\n")
        reason = vm.wait(context.limit(60))
    expect(reason == "guest-shutdown", f"poweroff -f ended the machine by {reason}")


def polled_console(uart: str):
    """A serial port whose interrupt does not come, or is not used, is polled: typing works all the same."""

    def run(context: Context):
        with Machine(context.config(hypervisor_options=f"com1={uart}"), context.log) as vm:
            vm.expect(r"serial port has no working interrupt \([A-Z]+\): polled instead", context.limit(60))
            prompt(vm, context)
            command(vm, context, "echo typed $((6 * 7))\n", r"^typed 42$")
            command(vm, context, "echo a line that is longer than the receiver can hold at once\n",
                    r"^a line that is longer than the receiver can hold at once$")

    return run


def reboots(context: Context):
    """reboot -f really starts the machine anew: dom0 comes up a second time, with a fresh uptime."""
    with Machine(context.config(reboot=True), context.log) as vm:
        prompt(vm, context)
        command(vm, context, "touch /tmp/first-life; ls /tmp/first-life\n", r"^/tmp/first-life$")
        vm.type("reboot -f\n")
        prompt(vm, context)
        expect(vm.resets > 0, "dom0's second banner came without a reset of the machine")
        command(vm, context, "ls /tmp/first-life\n", r"No such file")
        vm.type("poweroff -f\n")
        reason = vm.wait(context.limit(60))
    expect(reason == "guest-shutdown", f"poweroff -f after the reboot ended the machine by {reason}")


def resets(context: Context):
    """reboot -f with -no-reboot: QEMU ends and says that the guest asked for a reset."""
    with Machine(context.config(), context.log) as vm:
        prompt(vm, context)
        vm.type("reboot -f\n")
        reason = vm.wait(context.limit(60))
    expect(reason == "guest-reset", f"reboot -f ended the machine by {reason}")


def full_root(load_seconds: int):
    """Makes the test of a whole userland: compile, install, and fork, map, signal for so many seconds."""

    def run(context: Context):
        disk = context.folder.parent.parent / "full-root/root.ext4"
        config = context.config(
            append=f"scenario=full-root load_seconds={load_seconds}",
            devices=["-drive", f"file={disk},format=raw,if=virtio,snapshot=on,cache=unsafe"])
        with Machine(config, context.log) as vm:
            vm.expect(r"^@@ dom0 is up$", context.limit(180))
            vm.expect(r"^@@ [0-9]+ ok, [0-9]+ failed$", context.limit(420) + load_seconds)
            reason = vm.wait(context.limit(60))
            failures = re.findall(r"^@@ FAIL (.*)$", vm.text, re.MULTILINE)
            expect(not failures, "in dom0: " + "; ".join(failures))
            expect("\n@@ full-root complete\n" in vm.text, "dom0 did not complete the scenario")
            expect_no_complaints(vm.text)
        expect(reason == "guest-shutdown", f"the machine ended by {reason} instead of a power-off")

    return run


def cases() -> list[Case]:
    quick = [
        Case("pc, 2 CPUs, 2G: CPUs, clock, disks and network cards", boots(), True),
        Case("q35, 4 CPUs, 4G, qemu64: CPUs, clock, disks and network cards",
             boots("q35", "qemu64", 4, "4G"), True),
        Case("pc, 1 CPU, 768M: CPUs, clock, disks and network cards",
             boots(cpus=1, memory="768M", dom0_memory="512M"), True),
        Case("the console is interactive; poweroff -f powers off", interactive, True),
        Case("console input without an interrupt", polled_console("115200,8n1,0x3f8,0"), True),
        Case("console input with a wrong interrupt", polled_console("115200,8n1,0x3f8,7")),
        Case("reboot -f starts the machine anew", reboots, True),
        Case("reboot -f with -no-reboot ends QEMU by a reset", resets, True),
        Case("a whole userland: gcc, make, dpkg, apt, stress-ng", full_root(10), True, ("dom0", "full-root")),
    ]
    slow = []
    memories = {"768M": "512M", "1G": "768M", "2G": "1G", "4G": "3G", "8G": "6G"}
    # Each machine boots ten times, twice with each size of memory.
    for machine, cpu, cpus in itertools.product(("pc", "q35"), ("qemu64", SVM), (1, 2, 4)):
        for number, memory in enumerate(2 * list(memories), 1):
            slow.append(Case(f"matrix: {machine} {cpu} {cpus} CPUs, boot {number}: {memory}",
                             boots(machine, cpu, cpus, memory, memories[memory])))
    slow.append(Case("two minutes of mixed load in a whole userland", full_root(120), needs=("dom0", "full-root")))
    return quick + slow
