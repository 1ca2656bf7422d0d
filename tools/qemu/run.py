# SPDX-License-Identifier: GPL-2.0-or-later
"""`domus run`: one boot with dom0's console on the terminal, or a batch run that judges itself."""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from qemu.machine import BUILD, Config, Ended, Machine


def parse(arguments: list[str]) -> argparse.Namespace:
    defaults = Config()
    parser = argparse.ArgumentParser(prog="domus run", allow_abbrev=False)
    parser.add_argument("--batch", action="store_true")
    parser.add_argument("--cpus", type=int, default=defaults.cpus)
    parser.add_argument("--memory", default=defaults.memory)
    parser.add_argument("--dom0-memory", default=defaults.dom0_memory)
    parser.add_argument("--machine", default=defaults.machine)
    parser.add_argument("--cpu", default=defaults.cpu)
    parser.add_argument("--hypervisor", default=defaults.hypervisor)
    parser.add_argument("--kernel", default=defaults.kernel)
    parser.add_argument("--initrd")
    parser.add_argument("--plain", action="store_true", help="the small dom0, without the toolstack")
    parser.add_argument("--toolstack", action="store_true", help="as without it: the toolstack is the default")
    parser.add_argument("--append", default="")
    parser.add_argument("--hypervisor-options", default="")
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--full-root", action="store_true")
    parser.add_argument("--scenario", help="a scenario of the dom0 image, instead of the shell or batch")
    parser.add_argument("--qemu", default="")
    parser.add_argument("--gdb", action="store_true")
    options = parser.parse_args(arguments)
    if options.hypervisor == "reference":
        options.hypervisor = str(BUILD / "reference-hypervisor/xen.elf")
    options.toolstack = options.toolstack or not (options.plain or options.initrd)
    if options.initrd is None:
        options.initrd = str(BUILD / "toolstack/initrd") if options.toolstack else defaults.initrd
    if options.toolstack and options.memory == defaults.memory:
        options.memory = "3G"  # room for guests
    if options.timeout is None:
        options.timeout = (600 if options.toolstack else 300) * slowness()
    return options


def slowness() -> int:
    """The factor on all time limits that the environment asks for."""
    return max(1, round(float(os.environ.get("DOMUS_SLOWNESS", "1"))))


def scratch_disk(path: Path, size: int = 256 << 20) -> Path:
    """A sparse disk that is all zero; made anew so that runs do not depend on one another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as disk:
        disk.truncate(size)
    return path


def configuration(options: argparse.Namespace) -> Config:
    for what in ("hypervisor", "kernel", "initrd"):
        if not os.path.isfile(getattr(options, what)):
            raise SystemExit(f"domus run: there is no file {getattr(options, what)} (--{what})")
    # Until QEMU has opened it, the disk needs a name of its own: two runs may overlap.
    disk = scratch_disk(BUILD / f"work/scratch-{os.getpid()}.img")
    devices = ["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe", "-nic", "user,model=virtio-net-pci"]
    if options.full_root:
        image = BUILD / "full-root/root.ext4"
        devices += ["-drive", f"file={image},format=raw,if=virtio,cache=unsafe,snapshot=on"]
    if options.gdb:
        devices += ["-gdb", "tcp::1234", "-S"]
    return Config(hypervisor=options.hypervisor, kernel=options.kernel, initrd=options.initrd,
                  machine=options.machine, cpu=options.cpu, cpus=options.cpus, memory=options.memory,
                  dom0_memory=options.dom0_memory, append=f"machine_cpus={options.cpus} {options.append}".strip(),
                  hypervisor_options=options.hypervisor_options, devices=devices + shlex.split(options.qemu))


def interactive(config: Config) -> int:
    size = shutil.get_terminal_size()
    config.append += f" TERM={os.environ.get('TERM', 'linux')} winsize={size.lines}x{size.columns}"
    if sys.stdin.isatty():
        print("(Ctrl-A X ends QEMU at once, Ctrl-A C shows its monitor)", flush=True)
    return subprocess.call(config.command() + ["-serial", "mon:stdio"])


@dataclass(frozen=True)
class Step:
    """One line `@@ ok NAME [SECONDS s]` or `@@ FAIL NAME (WHY) [SECONDS s]` of a scenario."""

    name: str
    why: str | None  # None: it passed
    seconds: float


def steps(text: str) -> list[Step]:
    """The timed steps that a scenario reported, in order."""
    found = []
    for verdict, rest, seconds in re.findall(r"^@@ (ok|FAIL) (.*) \[(\d+\.\d+) s\]$", text, re.MULTILINE):
        name, why = rest, None
        if verdict == "FAIL":
            name, _, why = rest.rpartition(" (")
        found.append(Step(name, why.rstrip(")") if why is not None else None, float(seconds)))
    return found


def figures(text: str) -> dict[str, list[str]]:
    """What a scenario has measured, `@@ figure WHAT: NUMBER UNIT`: the values of each in order."""
    found: dict[str, list[str]] = {}
    for what, value in re.findall(r"^@@ figure (.*): (-?[\d.]+ \S+)$", text, re.MULTILINE):
        found.setdefault(what, []).append(value)
    return found


def failures(text: str) -> str:
    """The steps that failed, for a message; empty if none did."""
    return "; ".join(f"FAIL {step.name} ({step.why})" for step in steps(text) if step.why is not None)


def show_steps(found: list[Step]):
    if found:
        width = max(len(step.name) for step in found)
        print("\n".join(["", *(f"{'FAIL' if step.why else 'ok  '}  {step.name:<{width}}  {step.seconds:8.3f} s"
                               + (f"  {step.why}" if step.why else "") for step in found)]))


def batch(config: Config, scenario: str, timeout: float) -> int:
    """Shows the boot; 0 only if dom0 said everything it should and then turned the machine off."""
    config.append += f" scenario={scenario} slowness={slowness()}"
    log = BUILD / f"logs/run-{scenario}.log"
    log.parent.mkdir(parents=True, exist_ok=True)

    def echo(text: str):
        sys.stdout.write(text)
        sys.stdout.flush()

    with Machine(config, log, echo) as machine:
        try:
            machine.expect(r"^@@ dom0 is up$", timeout)
            machine.expect(r"reboot: Power down", timeout - machine.elapsed())
            reason = machine.wait(timeout - machine.elapsed())
            show_steps(steps(machine.text))
            if reason != "guest-shutdown":
                raise Ended(f"the machine ended by {reason} instead of a power-off")
            if f"\n@@ {scenario} complete\n" not in machine.text:
                raise Ended(failures(machine.text) or f"dom0 did not say '@@ {scenario} complete'")
        except Ended as problem:
            sys.stdout.flush()
            print(f"\ndomus: the run failed: {problem}. The whole log: {log}", file=sys.stderr)
            return 1
        seconds = machine.elapsed()
    tenths = int(time.time() * 10) - int(os.environ.get("DOMUS_START", "0")) // 100000
    print(f"[{tenths // 10:5d}.{tenths % 10} s] dom0 booted, answered and powered off in {seconds:.1f} s")
    return 0


def main() -> int:
    options = parse(sys.argv[1:])
    config = configuration(options)
    try:
        if options.batch or options.scenario:
            scenario = options.scenario or ("toolstack" if options.toolstack else "batch")
            return batch(config, scenario, options.timeout)
        return interactive(config)
    finally:
        (BUILD / f"work/scratch-{os.getpid()}.img").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
