# SPDX-License-Identifier: GPL-2.0-or-later
"""What a system test is, and what it can use."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Callable

from qemu.machine import Config


class Failed(Exception):
    """What the test expected is not so; the text says what."""


@dataclass
class Context:
    """Belongs to one run of one test."""

    hypervisor: str
    folder: Path  # the test's own, empty at the start; console.log in it is kept
    seed: int
    slowness: float = 1.0  # factor on every time limit
    random: Random = field(init=False)

    def __post_init__(self):
        self.random = Random(self.seed)

    @property
    def log(self) -> Path:
        return self.folder / "console.log"

    def config(self, **settings) -> Config:
        return Config(hypervisor=self.hypervisor, **settings)

    def limit(self, seconds: float) -> float:
        return seconds * self.slowness


@dataclass
class Case:
    """A test: it passes if `function(context)` returns, and fails if that raises Failed or Ended."""

    name: str
    function: Callable[[Context], None]
    quick: bool = False  # part of `domus test` without --all
    needs: tuple[str, ...] = ("dom0",)  # images


def expect(condition: bool, text: str):
    if not condition:
        raise Failed(text)


# What a kernel or the hypervisor says when something is wrong though it goes on.
COMPLAINTS = re.compile(
    r"^.*(WARNING: |BUG: |INFO: task|INFO: rcu|rcu: INFO|soft lockup|hard LOCKUP|Call Trace|Oops|Kernel panic|"
    r"general protection fault|clocksource.*unstable|hung_task|"
    r"\(domus\).*(assert|lockup|stray|lost|corrupt|crash)).*$", re.MULTILINE)


def expect_no_complaints(text: str):
    """Neither side of the console warned of anything."""
    complaint = COMPLAINTS.search(text)
    expect(complaint is None, f"a warning: {complaint and complaint.group(0).strip()}")


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
