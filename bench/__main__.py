# SPDX-License-Identifier: GPL-2.0-or-later
"""`domus bench`: single operations, whole boots of dom0 from power-on to power-off, and a guest's life, in instructions.

Both hypervisors get the same machine: one CPU, no network, and a clock that counts instructions
(-icount), so that a run repeats almost exactly and does not depend on how busy this computer is.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import operations
from qemu.machine import BUILD, Config, Ended, Machine
from qemu.run import failures

HERE = Path(__file__).resolve().parent
DETERMINISTIC = ["-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm", "-seed", "1", "-nic", "none"]


OPERATIONS = "operations"
GUEST = "guest's life"  # create, boot, save, restore, destroy; 128 MiB


@dataclass(frozen=True)
class Work:
    """What is run from power-on to power-off; `without` names the work whose counts are taken off."""

    name: str
    kernel: str = "vmlinux"
    image: str = "dom0"
    scenario: str = "power-off"
    memory: str = "2G"
    without: str | None = None


WORKS = (
    Work("vmlinuz", kernel="vmlinuz"),
    Work("vmlinux"),
    Work("toolstack", image="toolstack", scenario="bench-idle", memory="3G"),
    Work(GUEST, image="toolstack", scenario="bench-guest", memory="3G", without="toolstack"),
)


@dataclass
class Count:
    """One work. `total` and `hypervisor_side` are instructions."""

    hypervisor: str
    work: str
    total: int
    hypervisor_side: int
    seconds: float  # how long QEMU took: depends on this computer, for orientation only


def plugin() -> Path:
    source, library = HERE.parent / "tools/insn-count.c", BUILD.resolve() / "bench/insn-count.so"
    library.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden",
                    "-o", library, source], check=True)
    return library


def measure(name: str, hypervisor: str, work: Work, timeout: float) -> Count:
    stem = f"{name}-{work.kernel}-{work.scenario}"
    counts = BUILD.resolve() / f"bench/{stem}.count"
    counts.unlink(missing_ok=True)
    config = Config(hypervisor=hypervisor, kernel=str(BUILD / "dom0" / work.kernel),
                    initrd=str(BUILD / work.image / "initrd"), cpus=1, accel="tcg", memory=work.memory,
                    append=f"scenario={work.scenario}",
                    devices=[*DETERMINISTIC, "-plugin", f"{plugin()},out={counts}"])
    with Machine(config, BUILD / f"bench/{stem}.log") as vm:
        vm.expect(r"reboot: Power down", timeout)
        reason = vm.wait(timeout)
        if reason != "guest-shutdown":
            raise Ended(f"the machine ended by {reason} instead of a power-off")
        if f"\n@@ {work.scenario} complete\n" not in vm.text:
            raise Ended(failures(vm.text) or f"dom0 did not say '@@ {work.scenario} complete'")
        seconds = vm.elapsed()
    total, inside = map(int, counts.read_text(encoding="ascii").split())
    return Count(name, work.name, total, inside, round(seconds, 1))


def without(count: Count, base: Count) -> Count:
    """What `count` has more than `base`."""
    return Count(count.hypervisor, count.work, count.total - base.total,
                 count.hypervisor_side - base.hypervisor_side, round(count.seconds - base.seconds, 1))


def first_line(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE.parent)
    return (result.stdout.splitlines() or [""])[0] if result.returncode == 0 else ""


def facts() -> dict:
    """What the numbers belong to."""
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "domus": first_line("git", "describe", "--always", "--dirty") or "not from git",
        "reference": (BUILD / "reference-hypervisor/version").read_text(encoding="ascii").strip(),
        "dom0_kernel": (BUILD / "dom0/version").read_text(encoding="ascii").strip(),
        "qemu": first_line("qemu-system-x86_64", "--version"),
        "compiler": first_line("g++", "--version"),
        "processor": platform.processor() or platform.machine(),
        "machine": "pc, qemu64,+svm,+npt, 1 CPU, 2G (toolstack 3G), dom0_mem=1G, " + " ".join(DETERMINISTIC),
    }


def show(counts: list[Count]):
    """A table with each work's rows next to one another, and the ratio to the reference."""
    reference = {count.work: count for count in counts if count.hypervisor == "reference"}
    width = max(len(count.work) for count in counts) + 2
    print(f"\n{'':<{width}}{'hypervisor':<12}{'all, 10^6':>12}{'':>8}{'its own, 10^6':>16}{'':>8}{'seconds':>10}")
    for count in counts:
        base = reference.get(count.work)
        print(f"{count.work:<{width}}{count.hypervisor:<12}{count.total / 1e6:>12,.1f}"
              f"{count.total / base.total if base else 0:>7.2f}x{count.hypervisor_side / 1e6:>16,.1f}"
              f"{count.hypervisor_side / base.hypervisor_side if base else 0:>7.2f}x{count.seconds:>10.1f}")
    print("\nInstructions executed; x: times the reference's. Seconds depend on this computer's load. vmlinuz, vmlinux,"
          "\ntoolstack: power-on to power-off with that kernel or image. The guest's life: what it adds to toolstack.")


def main() -> int:
    parser = argparse.ArgumentParser(prog="domus bench", allow_abbrev=False)
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one boot")
    parser.add_argument("--record", action="store_true", help="also write bench/results/DATE-COMMIT.json, to commit")
    parser.add_argument("--only", choices=("domus", "reference"))
    parser.add_argument("--work", action="append", choices=[OPERATIONS, *(work.name for work in WORKS)],
                        help="only this work")
    options = parser.parse_args()
    hypervisors = {"reference": str(BUILD / "reference-hypervisor/xen.elf"), "domus": str(BUILD / "domus.elf")}
    wanted = [work for work in WORKS if options.work is None or work.name in options.work]
    needed = {work.without for work in wanted}
    counts: list[Count] = []
    single: list[operations.Operation] = []
    failed = []
    for name, path in hypervisors.items():
        if options.only not in (None, name) or OPERATIONS not in (options.work or [OPERATIONS]):
            continue
        print(f"measuring {name}: {OPERATIONS}…", flush=True)
        try:
            single += operations.measure(name, path, DETERMINISTIC, options.timeout)
        except Ended as problem:
            failed.append(f"{name}: {OPERATIONS}: {problem}")
            print(f"  failed: {problem}", flush=True)
    for work in WORKS:
        for name, path in hypervisors.items():
            if options.only not in (None, name) or not (work in wanted or work.name in needed):
                continue
            print(f"measuring {name}: {work.name}…", flush=True)
            try:
                count = measure(name, path, work, options.timeout)
                if work.without:
                    base = [other for other in counts if (other.hypervisor, other.work) == (name, work.without)]
                    count = without(count, base[0]) if base else None
                counts += [count] if count else []
            except Ended as problem:
                failed.append(f"{name}: {work.name}: {problem}")
                print(f"  failed: {problem}", flush=True)
    if not counts and not single:
        raise Ended("nothing could be measured")
    if single:
        operations.show(single)
    if counts:
        show(counts)
    result = json.dumps({**facts(), "works": [asdict(count) for count in counts],
                         "operations": [asdict(operation) for operation in single], "failed": failed}, indent=2) + "\n"
    (BUILD / "bench/result.json").write_text(result, encoding="utf-8")
    if options.record:
        where = HERE / "results"
        where.mkdir(exist_ok=True)
        name = f"{facts()['date']}-{facts()['domus'].split('-')[0]}.json"
        (where / name).write_text(result, encoding="utf-8")
        print(f"recorded in bench/results/{name}")
    for line in failed:
        print(f"domus bench: not measured: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Ended, OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"domus bench: {problem}. Logs: {BUILD}/bench")
