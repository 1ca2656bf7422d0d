# SPDX-License-Identifier: GPL-2.0-or-later
"""python3 -m system [--all] [--only TEXT]... [--hypervisor FILE] [--list]: runs the system tests one after another."""

import argparse
import os
import random
import shutil
import sys
import time

from qemu.machine import BUILD, Ended
from system import boots, crashes, grub, guests, processors, protection, refusals, toolstack
from system.case import Case, Context, Failed, slug


def all_cases() -> list[Case]:
    return [case for subject in (boots, crashes, grub, guests, processors, protection, refusals, toolstack)
            for case in subject.cases()]


def run_case(case: Case, hypervisor: str, seed: int, slowness: float) -> str | None:
    """Runs one test; returns None, or why it failed."""
    folder = BUILD.resolve() / "system" / slug(case.name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    context = Context(hypervisor, folder, seed, slowness)
    try:
        case.function(context)
        return None
    except (Failed, Ended) as problem:
        return f"{problem}. The whole log: {context.log}"
    except Exception as problem:  # a mistake in the test costs this test, not those after it
        return f"the test itself broke: {type(problem).__name__}: {problem}. The whole log: {context.log}"


def run(cases: list[Case], hypervisor: str, seed: int, slowness: float) -> tuple[int, int]:
    """Runs the tests and prints a line for each; returns how many passed and failed."""
    passed = failed = 0
    for case in cases:
        start = time.monotonic()
        problem = run_case(case, hypervisor, seed, slowness)
        seconds = time.monotonic() - start
        print(f"{'FAIL' if problem else 'ok  '} {seconds:6.1f} s  {case.name}" + (f": {problem}" if problem else ""),
              flush=True)
        passed += not problem
        failed += bool(problem)
    return passed, failed


def main() -> int:
    parser = argparse.ArgumentParser(prog="system", allow_abbrev=False)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", action="append", default=[], help="only tests with this text in their name")
    parser.add_argument("--hypervisor", default=str(BUILD / "domus.elf"))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    everything = all_cases()
    chosen = [case for case in everything
              if (options.all or options.only or case.quick) and
              (not options.only or any(text in case.name for text in options.only))]
    if options.list:
        print("\n".join(case.name for case in chosen))
        return 0
    print(f"system tests: {len(chosen)} of {len(everything)}, seed {options.seed}", flush=True)
    passed, failed = run(chosen, options.hypervisor, options.seed, float(os.environ.get("DOMUS_SLOWNESS", "1")))
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
