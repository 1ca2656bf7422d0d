# SPDX-License-Identifier: GPL-2.0-or-later
"""Test kernels of our own (tests/guests/) in dom0's place: one checks the ABI, one tries to break the hypervisor."""

import re

from qemu.machine import BUILD, Machine
from system.case import Case, Context, expect

FOLDER = BUILD / "release"


def boot(context: Context, guest: str, arguments: str, cpus: int, limit: float, **settings) -> str | None:
    """Boots a guest until it has powered the machine off; returns what the console said, None if the guest lost itself."""
    config = context.config(modules=[f"{FOLDER}/{guest}.guest {arguments}"], cpus=cpus, memory="512M",
                            dom0_memory="128M", **settings)
    with Machine(config, context.log) as vm:
        reason = vm.wait(context.limit(limit))
        text = vm.text
    for line in re.findall(r"^.*(?:Domus has (?:crashed|stopped)|assertion failed|guest: ).*$", text, re.MULTILINE):
        expect(False, f"on the console: {line[:200]}")
    if re.search(r"^\(domus\) d0v\d+: .*: the domain is crashed$", text, re.MULTILINE):
        return None
    expect(reason == "guest-shutdown", f"the machine ended by {reason} instead of the guest's power-off")
    expect(vm.exit_status == 0, f"QEMU ended with status {vm.exit_status}")
    return text


def probe(cpus: int):
    def run(context: Context):
        text = boot(context, "probe", "", cpus, 120)
        expect(text is not None, "the probe has crashed")
        failures = re.findall(r"^probe: FAIL (.*)$", text, re.MULTILINE)
        expect(not failures, f"{len(failures)} checks failed: " + "; ".join(failures[:10]))
        said = re.search(r"^probe: complete, (\d+) ok, 0 failed$", text, re.MULTILINE)
        expect(said and int(said.group(1)) > 50, "the probe did not complete")

    return run


# Hypercalls (public xen.h) that a hostile guest must have made, and those of them that must also have succeeded:
# otherwise it only knocks at the door.
MADE = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 28, 29, 30, 32, 33, 34,
        35, 36, 40}
# Steps of the first vCPU after which every one of them has come up.
LEAST = 8000
DONE = {0, 1, 10, 12, 13, 14, 20, 24, 26, 29, 32}


def hostile(cpus: int, seconds: int, **settings):
    def run(context: Context):
        # One vCPU more than works brings back the others. Nearly every call is refused, and told of at a rate that
        # leaves time for calls. A guest that has cut off the branch that it sits on, as it may, shows nothing: then
        # another one.
        text = None
        for seed in range(context.seed, context.seed + 3):
            text = text or boot(context, "hostile", f"seed={seed} seconds={seconds} least={LEAST}", cpus,
                                180 + 3 * seconds,
                                hypervisor_options=f"dom0_max_vcpus={max(cpus, 2) + 1} guest_loglvl=none/warning",
                                **settings)
        expect(text is not None, "three guests in a row have lost themselves")
        done = re.search(r"^hostile: (\d+) steps, (\d+) hypercalls", text, re.MULTILINE)
        expect("\nhostile: complete, all canaries alive\n" in text and done, "the guest did not complete")
        calls = {int(number): (int(made), int(good)) for number, made, good in
                 re.findall(r"^hostile: hypercall (\d+): (\d+) made, (\d+) succeeded", text, re.MULTILINE)}
        expect(MADE <= calls.keys(), f"hypercalls {sorted(MADE - calls.keys())} were not made")
        failed = [number for number in sorted(DONE) if calls[number][1] == 0]
        expect(not failed, f"of hypercalls {failed} none succeeded")

    return run


def cases() -> list[Case]:
    quick = [
        Case("the PV ABI as a kernel of our own sees it, 2 CPUs", probe(2), True, ()),
        Case("a hostile guest for 10 s, 2 CPUs", hostile(2, 10), True, ()),
    ]
    slow = [Case("the PV ABI as a kernel of our own sees it, 1 CPU", probe(1), False, ())]
    for cpus, seconds in ((1, 120), (2, 300), (4, 300)):
        slow.append(Case(f"a hostile guest for {seconds} s, {cpus} CPUs", hostile(cpus, seconds), False, ()))
    return quick + slow
