# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's Xen, the reference that measurements stand beside. Leaves xen.elf and the package's version."""

import gzip
import re
import shutil
from pathlib import Path

from image.apt import Apt
from image.stage import Stage

PACKAGE = "xen-hypervisor-4.17-amd64"


def make(apt: Apt, work: Path, out: Path):
    """Makes the reference in `out`; `work` is scratch space."""
    debs = apt.fetch([PACKAGE], closure=False)
    shutil.rmtree(work, ignore_errors=True)
    stage = Stage(work / "stage")
    stage.create(debs)
    out.mkdir(parents=True, exist_ok=True)
    (out / "xen.elf").write_bytes(gzip.decompress((stage.root / "boot/xen-4.17-amd64.gz").read_bytes()))
    (out / "version").write_text(re.sub(r"^.*?_(.*)_.*$", r"\1", debs[0].name) + "\n")
    shutil.rmtree(work)
