# SPDX-License-Identifier: GPL-2.0-or-later
"""`domus test [--all]`: everything that must hold before a change lands, one line each.

The last line is `N passed, N failed`, where every unit test, check and system test counts as one.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

from checks import tree
from qemu.machine import BUILD as RELATIVE_BUILD
from system.__main__ import all_cases, run as run_system

ROOT = Path(__file__).resolve().parents[2]
BUILD = RELATIVE_BUILD.resolve()
LOGS = BUILD / "logs"


class Tally:
    """Counts, and prints a line for each result with the time it took."""

    def __init__(self):
        self.passed = self.failed = 0
        self._mark = time.monotonic()

    def result(self, name: str, problems: list[str], count: int = 1):
        """`count` things passed if there are no problems; each problem is a failure."""
        now = time.monotonic()
        seconds, self._mark = now - self._mark, now
        print(f"{'FAIL' if problems else 'ok  '} {seconds:6.1f} s  {name}", flush=True)
        for problem in problems[:40]:
            print(f"         {problem}", flush=True)
        if len(problems) > 40:
            print(f"         … and {len(problems) - 40} more", flush=True)
        self.failed += len(problems)
        self.passed += count if not problems else max(0, count - len(problems))

    def add(self, passed: int, failed: int):
        self.passed += passed
        self.failed += failed
        self._mark = time.monotonic()


def run(log_name: str, *command: str, timeout: float = 1800) -> tuple[int, str, Path]:
    """Runs a command with its output in a log; returns its status, output and the log's path."""
    log = LOGS / f"{log_name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        status = wait_with_progress(process, log, timeout)
        if status is None:
            process.kill()
            process.wait()
            status = 124
            file.write(f"\nno end in {timeout} s\n")
    return status, log.read_text(encoding="utf-8", errors="replace"), log


def wait_with_progress(process: subprocess.Popen, log: Path, timeout: float) -> int | None:
    """The command's status, or None when the time is over. Every 15 s the log's last line is shown, if it is a new one."""
    shown, end = "", time.monotonic() + timeout
    while (left := end - time.monotonic()) > 0:
        try:
            return process.wait(min(15, left))
        except subprocess.TimeoutExpired:
            last = (log.read_text(encoding="utf-8", errors="replace").splitlines() or [""])[-1].strip()[:100]
            if last not in ("", shown):
                print(f"               {last}", flush=True)
            shown = last
    return None


def first_error(output: str) -> str:
    found = re.search(r"^.*(?:error|FAILED|undefined reference).*$", output, re.MULTILINE | re.IGNORECASE)
    return (found.group(0) if found else (output.strip().splitlines() or ["no output"])[-1])[:200]


def build(tally: Tally, preset: str, target: str | None, name: str) -> bool:
    """Configures and builds; a failure is one line with the first error."""
    status, output, log = run(f"configure-{preset}", "cmake", "--preset", preset)
    if status == 0 and target:
        status, output, log = run(f"build-{preset}-{target}", "cmake", "--build", f"build/{preset}", "--target", target)
    tally.result(name, [f"{first_error(output)}. The whole log: {log}"] if status else [])
    return status == 0


def unit_tests(tally: Tally):
    program = BUILD / "asan/unit_tests"
    environment = ["env", "ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1",
                   "UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1"]
    status, output, log = run("unit_tests", *environment, str(program), "--gtest_brief=1")
    ran = re.search(r"^\[==========\] (\d+) tests? from", output, re.MULTILINE)
    failed = sorted(set(re.findall(r"^\[  FAILED  \] ([\w/]+\.[\w/]+)", output, re.MULTILINE)))
    problems = [f"{name}. The whole log: {log}" for name in failed]
    if status and not problems:
        problems = [f"{first_error(output)}. The whole log: {log}"]
    if not ran or int(ran.group(1)) == 0:
        problems.append(f"no unit test ran. The whole log: {log}")
    skipped = re.search(r"^\[  SKIPPED \] (\d+) tests?", output, re.MULTILINE)
    left_out = int(skipped.group(1)) if skipped else 0
    count = (int(ran.group(1)) if ran else 0) - left_out
    tally.result(f"{count} unit tests under AddressSanitizer and UndefinedBehaviorSanitizer"
                 + (f" ({left_out} more not run: each says why in {log})" if left_out else ""), problems, count)


def static_checks(tally: Tally, everything: bool):
    tally.result("every file names its licence", tree.spdx(ROOT))
    tally.result("the sources are formatted", tree.formatted(ROOT))
    # The linter takes as long as all the rest: it has no place in the quick run.
    if everything and build(tally, "host", None, "configure for the host"):
        tally.result("clang-tidy finds nothing", tree.tidy(ROOT, BUILD / "host"))


def command_checks(tally: Tally):
    status, output, log = run("check-batch", "./domus", "run", "--plain", "--batch", timeout=400)
    wanted = ["Linux version 6.", "Run /init as init process", "Booting kernel on Xen", "load average",
              "@@ batch complete", "reboot: Power down"]
    problems = [f"its output has no '{text}'" for text in wanted if text not in output]
    if status:
        problems.append(f"it ended with status {status}: {first_error(output)}")
    tally.result("./domus run --plain --batch", [f"{text}. The whole log: {log}" for text in problems])
    status, output, log = run("check-misspelt", "./domus", "run", "--bacth", timeout=20)
    tally.result("./domus run --bacth is refused at once",
                 [] if status == 1 and "'--bacth' is no option of run" in output else [f"it said: {output[:200]}"])
    status, output, log = run("check-batch-fails", "./domus", "run", "--plain", "--batch", "--timeout", "2", timeout=120)
    tally.result("./domus run --batch that is cut short says so and fails",
                 [] if status and "the run failed" in output else [f"it ended with status {status}. Log: {log}"])


def system_tests(tally: Tally, everything: bool, hypervisor: Path, only: tuple[str, ...] = ()):
    seed = random.SystemRandom().randrange(1 << 32)
    cases = [case for case in all_cases()
             if (everything or case.quick) and (not only or any(text in case.name for text in only))]
    print(f"system tests of {hypervisor.relative_to(ROOT)}: {len(cases)}, seed {seed}", flush=True)
    passed, failed = run_system(cases, str(hypervisor), seed, float(os.environ.get("DOMUS_SLOWNESS", "1")))
    tally.add(passed, failed)
    if not cases:
        tally.result("system tests", ["none was chosen"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="domus test", allow_abbrev=False)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    tally = Tally()

    static_checks(tally, options.all)
    if build(tally, "asan", "unit_tests", "build the unit tests"):
        unit_tests(tally)
    built = build(tally, "release", "domus", "build the hypervisor with g++")
    built = build(tally, "release", "guests", "build the test kernels") and built
    clang = build(tally, "clang", "domus", "build the hypervisor with clang-19 and assertions")
    if built:
        (BUILD / "domus.elf").write_bytes((BUILD / "release/domus.elf").read_bytes())
        command_checks(tally)
        system_tests(tally, options.all, BUILD / "domus.elf")
    if clang and options.all:
        system_tests(tally, False, BUILD / "clang/domus.elf")
    if options.all and build(tally, "debug", "domus", "build the hypervisor without optimisation"):
        system_tests(tally, False, BUILD / "debug/domus.elf")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 0 if tally.passed and not tally.failed else 1


if __name__ == "__main__":
    sys.exit(main())
