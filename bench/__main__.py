# SPDX-License-Identifier: GPL-2.0-or-later
"""`domus bench`: whole boots of dom0, from power-on to power-off, in instructions.

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

from qemu.machine import BUILD, Config, Ended, Machine

HERE = Path(__file__).resolve().parent
DETERMINISTIC = ["-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm", "-seed", "1", "-nic", "none"]


@dataclass
class Count:
    """One boot. `total` and `hypervisor_side` are instructions."""

    hypervisor: str
    kernel: str
    total: int
    hypervisor_side: int
    seconds: float  # how long QEMU took: depends on this computer, for orientation only


def plugin() -> Path:
    source, library = HERE.parent / "tools/insn-count.c", BUILD.resolve() / "bench/insn-count.so"
    library.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden",
                    "-o", library, source], check=True)
    return library


def measure(name: str, hypervisor: str, kernel: str, timeout: float) -> Count:
    counts = BUILD.resolve() / f"bench/{name}-{kernel}.count"
    counts.unlink(missing_ok=True)
    config = Config(hypervisor=hypervisor, kernel=str(BUILD / "dom0" / kernel), cpus=1, accel="tcg",
                    append="scenario=power-off", devices=[*DETERMINISTIC, "-plugin", f"{plugin()},out={counts}"])
    with Machine(config, BUILD / f"bench/{name}-{kernel}.log") as vm:
        vm.expect(r"^@@ power-off complete$", timeout)
        vm.expect(r"reboot: Power down", timeout)
        reason = vm.wait(timeout)
        if reason != "guest-shutdown":
            raise Ended(f"the machine ended by {reason} instead of a power-off")
        seconds = vm.elapsed()
    total, inside = map(int, counts.read_text(encoding="ascii").split())
    return Count(name, kernel, total, inside, round(seconds, 1))


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
        "machine": "pc, qemu64,+svm,+npt, 1 CPU, 2G, dom0_mem=1G, " + " ".join(DETERMINISTIC),
    }


def show(counts: list[Count]):
    """A table with each kernel's boots next to one another, and the ratio to the reference."""
    reference = {count.kernel: count for count in counts if count.hypervisor == "reference"}
    print(f"\n{'whole boot to power-off':<24}{'hypervisor':<12}{'all, 10^6':>12}{'':>8}"
          f"{'its own, 10^6':>16}{'':>8}{'seconds':>10}")
    for count in counts:
        base = reference.get(count.kernel)
        print(f"{count.kernel:<24}{count.hypervisor:<12}{count.total / 1e6:>12,.1f}"
              f"{count.total / base.total if base else 0:>7.2f}x{count.hypervisor_side / 1e6:>16,.1f}"
              f"{count.hypervisor_side / base.hypervisor_side if base else 0:>7.2f}x{count.seconds:>10.1f}")
    print("\nInstructions executed; x: times the reference's. Seconds depend on this computer's load.")


def main() -> int:
    parser = argparse.ArgumentParser(prog="domus bench", allow_abbrev=False)
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one boot")
    parser.add_argument("--record", action="store_true", help="also write bench/results/DATE-COMMIT.json, to commit")
    parser.add_argument("--only", choices=("domus", "reference"))
    options = parser.parse_args()
    hypervisors = {"reference": str(BUILD / "reference-hypervisor/xen.elf"), "domus": str(BUILD / "domus.elf")}
    counts = []
    for kernel in ("vmlinuz", "vmlinux"):
        for name, path in hypervisors.items():
            if options.only in (None, name):
                print(f"measuring {name} with {kernel}…", flush=True)
                counts.append(measure(name, path, kernel, options.timeout))
    show(counts)
    result = json.dumps({**facts(), "boots": [asdict(count) for count in counts]}, indent=2) + "\n"
    (BUILD / "bench/result.json").write_text(result, encoding="utf-8")
    if options.record:
        where = HERE / "results"
        where.mkdir(exist_ok=True)
        name = f"{facts()['date']}-{facts()['domus'].split('-')[0]}.json"
        (where / name).write_text(result, encoding="utf-8")
        print(f"recorded in bench/results/{name}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Ended, OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"domus bench: {problem}. Logs: {BUILD}/bench")
