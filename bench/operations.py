# SPDX-License-Identifier: GPL-2.0-or-later
"""What single operations cost: the test kernel tests/guests/micro in dom0's place, its ticks being instructions."""

import re
from dataclasses import dataclass

from qemu.machine import BUILD, Config, Machine

# What each operation is. The measuring loop itself takes two instructions.
MEANING = {
    "null_hypercall": "xen_version",
    "sched_yield": "yield with nobody else to run",
    "exception_ud": "an undefined instruction to the kernel's handler and back",
    "protect_and_back": "a page made read-only and writable again",
    "event_send_masked": "an event sent, upcalls masked",
    "event_delivered": "an event sent to itself, upcall and return",
    "grant_copy_64": "64 bytes copied from a granted page",
    "grant_copy_4096": "a granted page copied",
    "grant_map_unmap": "a granted page mapped and unmapped",
    "event_ping_pong": "two vCPUs of one CPU: two events, two waits, two switches",
}


@dataclass
class Operation:
    """`instructions`: of hypervisor and guest together, for one operation."""

    hypervisor: str
    name: str
    instructions: float


def measure(name: str, hypervisor: str, clock: list[str], timeout: float) -> list[Operation]:
    config = Config(hypervisor=hypervisor, modules=[f"{BUILD}/release/micro.guest"], cpus=1, accel="tcg",
                    memory="512M", dom0_memory="128M", hypervisor_options="dom0_max_vcpus=2", devices=clock)
    with Machine(config, BUILD.resolve() / f"bench/{name}-operations.log") as vm:
        vm.expect(r"^micro complete$", timeout)
        found = re.findall(r"^micro (\w+) ([0-9.]+)$", vm.text, re.MULTILINE)
    return [Operation(name, operation, float(ticks)) for operation, ticks in found if operation in MEANING]


def show(operations: list[Operation]):
    """A line for each operation: the reference's instructions, ours, and their ratio."""
    names = list(dict.fromkeys(operation.name for operation in operations))
    table = {(operation.hypervisor, operation.name): operation.instructions for operation in operations}
    print(f"\n{'instructions of one operation':<62}{'reference':>10}{'domus':>10}")
    for name in names:
        theirs, ours = table.get(("reference", name)), table.get(("domus", name))
        ratio = f"{ours / theirs:>8.2f}x" if ours and theirs else ""
        print(f"{MEANING[name]:<62}{theirs or 0:>10,.0f}{ours or 0:>10,.0f}{ratio}")
