# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's toolstack on the hypervisor: scenarios of dom0's image, each a table of timed steps, judged step by step.

`python3 -m system.toolstack` runs them on Domus and on the reference and shows the two side by side.
"""

import argparse
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from image.apt import Apt
from image.cpio import CpioWriter
from image.stage import Stage
from qemu.machine import BUILD, Ended, Machine
from qemu.run import Step, failures, figures, scratch_disk, steps
from system.case import Case, Context, Failed, expect, slug


@dataclass(frozen=True)
class Scenario:
    """A file of tools/image/toolstack-root/scenarios, and the machine that it wants."""

    name: str
    subject: str
    seconds: float  # its limit on an idle computer
    quick: bool = False  # part of `domus test` without --all
    cpus: int = 2
    memory: str = "3G"
    image: str = "toolstack"
    tools: bool = False  # the disk with fio and iperf3
    guests: bool = False  # below /guest our own test kernels and Debian's PV GRUB for 32 bits
    steady: bool = False  # with a steady clock in any case
    words: str = ""  # more for dom0's command line


SCENARIOS = [
    Scenario("short", "create, console, save, restore, migrate, destroy", 300, quick=True, steady=True),
    Scenario("toolstack", "a guest's short life: create, save, restore, migrate, shut down", 300),
    Scenario("everyday", "a little of everything, in one boot", 300),
    Scenario("look", "xl info, list, dmesg, top, vcpu-list, debug-keys, xenstore, xenpm, xentrace", 300),
    Scenario("life", "create, console, pause, rename, sysrq, trigger, reboot, shutdown, destroy", 600),
    Scenario("memory", "ballooning, limits, claims, and every page given back", 400),
    Scenario("cpus", "vCPU hot-plug, pinning, credit2, rtds, cpupools", 600, cpus=4),
    Scenario("plug", "disks and network cards: data, hot-plug, unplug under load", 900),
    Scenario("move", "save, restore, migrate, crashes, core dumps", 1200),
    Scenario("downtime", "how long a migration holds a guest up, what a guest costs in memory", 900),
    Scenario("load", "fio with verification, iperf3", 900, tools=True),
    Scenario("pvgrub", "a guest that Debian's PV GRUB boots from the guest's own disk", 600),
    Scenario("guest32", "32-bit guests: our own kernel, Debian's PV GRUB", 400, guests=True),
    Scenario("libvirt", "a guest's life by virsh -c xen:///system", 900, image="libvirt"),
    Scenario("many", "eight by weight, 64 at once, 500 created and destroyed", 9000, memory="7G", guests=True),
]

# All with a steady clock: it counts instructions, and skips what would be idle: nothing in the machine then depends on
# how busy the computer is. One CPU at a time runs, so a race between CPUs is rarer.
STEADY = os.environ.get("DOMUS_STEADY", "") not in ("", "0")

# Steps that Debian's Xen is known not to pass, and why: the comparison does not count them against the scenario.
NO_LOG_DIRTY = "Debian builds it without shadow paging, which its live migration of PV guests needs"
REFERENCE_CANNOT = {"migrate to localhost": NO_LOG_DIRTY, "migrate": NO_LOG_DIRTY, "migrate under load": NO_LOG_DIRTY,
                    **{f"{step}, {n}": NO_LOG_DIRTY for n in (1, 2, 3)
                       for step in ("migrate", "migrate with disk and network card")}}


def with_guests(initrd: Path, folder: Path) -> Path:
    """The image and behind it an archive of kernels that only tests start."""
    guest = folder / "guests/guest"
    guest.mkdir(parents=True, exist_ok=True)
    for kernel in ("pae32", "probe"):
        shutil.copy(BUILD / f"release/{kernel}.guest", guest / kernel)
    deb, = Apt(BUILD / "apt", BUILD / "logs/apt.log").fetch(["grub-xen-host"], closure=False)
    Stage(folder / "stage").create([deb])
    shutil.copy(folder / "stage/usr/lib/grub-xen/grub-i386-xen.bin", guest / "grub32")
    whole = folder / "initrd"
    with open(whole, "wb") as stream:
        with open(initrd, "rb") as image:
            shutil.copyfileobj(image, stream, 1 << 20)
        archive = CpioWriter(stream)
        archive.tree(folder / "guests")
        archive.close()
    return whole


# A guest's way to another machine by a saved stream: two scenarios whose machines have the same disk, one after the
# other.
STREAM_OUT = Scenario("stream-out", "a guest is saved to a disk", 300)
STREAM_IN = Scenario("stream-in", "the guest goes on on another machine", 300)
# The same while it runs, between two machines at once.
LIVE_OUT = Scenario("live-out", "a running guest leaves for another machine", 900, memory="2G")
LIVE_IN = Scenario("live-in", "the running guest arrives", 900, memory="2G")


def run(scenario: Scenario, context: Context, carried: Path | None = None) -> list[Step]:
    """Boots the scenario; returns its steps. Ended: the machine did not come to the scenario's end. `carried`: a disk
    that is the caller's."""
    disk = carried or scratch_disk(context.folder / "scratch.img")
    devices = ["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe", "-nic", "none"]
    steady = STEADY or scenario.steady
    if steady:
        devices += ["-icount", "shift=2,sleep=off"]
    if scenario.tools:
        devices += ["-drive", f"file={BUILD / 'guest-tools/root.ext4'},format=raw,if=virtio,readonly=on"]
    initrd = BUILD / scenario.image / "initrd"
    if scenario.guests:
        initrd = with_guests(initrd, context.folder)
    # A steady clock leaves nothing to the computer, but its CPUs take turns, so that each has a part of the time.
    slowness = 2 if steady else max(1, round(context.slowness))
    config = context.config(
        kernel=str(BUILD / "dom0/vmlinux"), initrd=str(initrd), cpus=scenario.cpus,
        memory=scenario.memory, accel="tcg,thread=single" if steady else "tcg,thread=multi",
        append=f"scenario={scenario.name} machine_cpus={scenario.cpus} slowness={slowness} quiet "
               + scenario.words,
        devices=devices)
    try:
        with Machine(config, context.log) as vm:
            vm.expect(r"^@@ dom0 is up$", context.limit(180))
            vm.expect(r"^@@ [0-9]+ ok, [0-9]+ failed$", context.limit(scenario.seconds))
            reason = vm.wait(context.limit(60))
            text = vm.text
    finally:
        if carried is None:
            disk.unlink()
    expect(reason == "guest-shutdown", f"the machine ended by {reason} instead of a power-off")
    found = steps(text)
    expect(bool(found), "the scenario reported no step")
    return found


def case(scenario: Scenario) -> Case:
    def judged(context: Context):
        run(scenario, context)
        text = context.log.read_text(encoding="utf-8")
        expect(not failures(text), failures(text))
        expect(f"\n@@ {scenario.name} complete\n" in text, "dom0 did not complete the scenario")

    return Case(f"toolstack: {scenario.name}: {scenario.subject}", judged, scenario.quick,
                ("dom0", scenario.image) + (("guest-tools",) if scenario.tools else ()))


def stream_case() -> Case:
    def judged(context: Context):
        paths = (Path(context.hypervisor), Path(context.hypervisor))
        expect(travel(("domus", "another domus"), paths, context.slowness), "see the steps above")

    return Case("toolstack: a saved guest goes on on another machine", judged, False, ("dom0", "toolstack"))


def live_case() -> Case:
    def judged(context: Context):
        paths = (Path(context.hypervisor), Path(context.hypervisor))
        expect(meet(("domus", "another domus"), paths, context.slowness), "see the steps above")

    return Case("toolstack: a running guest goes on on another machine", judged, False, ("dom0", "toolstack"))


def cases() -> list[Case]:
    return [case(scenario) for scenario in SCENARIOS] + [stream_case(), live_case()]


def place(scenario: Scenario, name: str, hypervisor: Path, slowness: float) -> Context:
    folder = BUILD.resolve() / "system" / slug(f"toolstack {scenario.name} {name}")
    folder.mkdir(parents=True, exist_ok=True)
    return Context(str(hypervisor), folder, 0, slowness)


def measured(scenario: Scenario, context: Context) -> dict[str, Step]:
    """The steps by name; those that a dead machine did not come to are missing, and its death is a step of its own."""
    try:
        return {step.name: step for step in run(scenario, context)}
    except (Failed, Ended) as problem:
        found = steps(context.log.read_text(encoding="utf-8")) if context.log.exists() else []
        return {step.name: step for step in found} | {"(the machine)": Step("(the machine)", str(problem), 0.0)}


def verdict(step: Step | None) -> str:
    if step is None:
        return f"{'-':>12}"
    return f"{'FAIL' if step.why is not None else f'{step.seconds:.1f} s':>12}"


def compare(scenario: Scenario, results: dict[str, dict[str, Step]]) -> bool:
    """Prints the scenario's table; True if Domus passes all that the reference passes, and the rest is explained."""
    print(f"\n{scenario.name}: {scenario.subject}")
    names = list(dict.fromkeys(name for found in results.values() for name in found))
    width = max(len(name) for name in names)
    print(f"{'':<{width}}  " + "".join(f"{name:>12}" for name in results))
    good = True
    for name in names:
        row = {hypervisor: found.get(name) for hypervisor, found in results.items()}
        why = [f"{hypervisor}: {step.why}" for hypervisor, step in row.items() if step and step.why is not None]
        if "reference" in row and name in REFERENCE_CANNOT:
            why.append(f"({REFERENCE_CANNOT[name]})")
        print(f"{name:<{width}}  " + "".join(verdict(step) for step in row.values()) + "  " + "; ".join(why))
        for hypervisor, step in row.items():
            excused = hypervisor == "reference" and name in REFERENCE_CANNOT
            good = good and (excused or (step is not None and step.why is None))
    return good


def show_figures(logs: dict[str, Path]):
    """What the scenario has measured on each hypervisor."""
    for name, log in logs.items():
        for what, values in figures(log.read_text(encoding="utf-8") if log.exists() else "").items():
            print(f"{name:>12}: {what}: {', '.join(values)}")


def travel(names: tuple[str, str], hypervisors: tuple[Path, Path], slowness: float) -> bool:
    """Saves a guest on the first hypervisor and restores it on the second; prints the steps. True: all passed."""
    print(f"\nsaved on {names[0]}, restored on {names[1]}")
    folder = BUILD.resolve() / "system" / slug(f"toolstack stream {names[0]} {names[1]}")
    folder.mkdir(parents=True, exist_ok=True)
    disk = scratch_disk(folder / "carried.img")
    good = True
    try:
        for number, scenario in enumerate((STREAM_OUT, STREAM_IN)):
            place = folder / scenario.name
            place.mkdir(exist_ok=True)
            for step in run(scenario, Context(str(hypervisors[number]), place, 0, slowness), disk):
                print(f"{verdict(step)}  {scenario.name}: {step.name}  {step.why or ''}")
                good = good and step.why is None
    except (Failed, Ended) as problem:
        print(f"{'FAIL':>12}  {problem}")
        good = False
    finally:
        disk.unlink()
    return good


def meet(names: tuple[str, str], hypervisors: tuple[Path, Path], slowness: float) -> bool:
    """Migrates a running guest from the first hypervisor to the second, each on a machine of its own; prints the
    steps. True: all passed."""
    print(f"\nmigrated from {names[0]} to {names[1]}")
    folder = BUILD.resolve() / "system" / slug(f"toolstack live {names[0]} {names[1]}")
    folder.mkdir(parents=True, exist_ok=True)
    ether = folder / "ether"
    ether.unlink(missing_ok=True)

    def machine(number: int) -> Machine:
        scenario = (LIVE_OUT, LIVE_IN)[number]
        context = Context(str(hypervisors[number]), folder, 0, slowness)
        config = context.config(
            kernel=str(BUILD / "dom0/vmlinux"), initrd=str(BUILD / scenario.image / "initrd"), cpus=scenario.cpus,
            memory=scenario.memory,
            append=f"scenario={scenario.name} machine_cpus={scenario.cpus} slowness={max(1, round(slowness))} quiet",
            devices=["-device", f"virtio-net-pci,netdev=ether,mac=52:54:00:00:00:0{number + 1}", "-netdev",
                     f"stream,id=ether,server={'on' if number else 'off'},addr.type=unix,addr.path={ether}"])
        return Machine(config, folder / f"{scenario.name}.log")

    good = True
    try:
        # The one with the network's listening end first.
        with machine(1) as there, machine(0) as here:
            there.expect(r"^@@ ready to receive$", 300 * slowness)
            for vm, scenario in ((here, LIVE_OUT), (there, LIVE_IN)):
                vm.expect(r"^@@ [0-9]+ ok, [0-9]+ failed$", scenario.seconds * slowness)
                for step in steps(vm.text):
                    print(f"{verdict(step)}  {scenario.name}: {step.name}  {step.why or ''}")
                    good = good and step.why is None
                good = good and f"\n@@ {scenario.name} complete\n" in vm.text
    except Ended as problem:
        print(f"{'FAIL':>12}  {problem}")
        good = False
    return good


def main() -> int:
    parser = argparse.ArgumentParser(prog="system.toolstack", allow_abbrev=False)
    parser.add_argument("--only", action="append", default=[], help="only this scenario (may be given again)")
    parser.add_argument("--on", choices=("domus", "reference"), help="one hypervisor instead of both")
    parser.add_argument("--domus", default=str(BUILD / "domus.elf"))
    parser.add_argument("--words", default="", help="for the scenarios, as cycles=20 for `many`")
    parser.add_argument("--streams", action="store_true", help="instead: guests saved on one restored on the other")
    parser.add_argument("--live", action="store_true", help="instead: guests migrated live from Domus to each")
    options = parser.parse_args()
    unknown = set(options.only) - {scenario.name for scenario in SCENARIOS}
    if unknown:
        parser.error(f"no scenario {' '.join(sorted(unknown))}; there are {' '.join(s.name for s in SCENARIOS)}")
    paths = {"reference": BUILD / "reference-hypervisor/xen.elf", "domus": Path(options.domus)}
    if options.on:
        paths = {options.on: paths[options.on]}
    slowness = float(os.environ.get("DOMUS_SLOWNESS", "1"))
    if options.streams:
        ways = [(a, b) for a in paths for b in paths if a != b or len(paths) == 1]
        return 0 if all([travel(way, (paths[way[0]], paths[way[1]]), slowness) for way in ways]) else 1
    if options.live:
        # The reference cannot be the source: NO_LOG_DIRTY.
        ways = [("domus", name) for name in paths if "domus" in paths]
        return 0 if all([meet(way, (paths[way[0]], paths[way[1]]), slowness) for way in ways]) else 1
    good = True
    for scenario in SCENARIOS:
        if not options.only or scenario.name in options.only:
            scenario = replace(scenario, words=options.words)
            contexts = {name: place(scenario, name, path, slowness) for name, path in paths.items()}
            results = {name: measured(scenario, context) for name, context in contexts.items()}
            good = compare(scenario, results) and good
            show_figures({name: context.log for name, context in contexts.items()})
            sys.stdout.flush()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
