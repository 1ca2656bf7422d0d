# SPDX-License-Identifier: GPL-2.0-or-later
"""A read-only disk for guests: fio and iperf3 with their libraries, entered by chroot. Leaves root.ext4."""

import shutil
import subprocess
from pathlib import Path

from image.apt import Apt
from image.stage import Stage, make_merged_usr

PACKAGES = ["fio", "iperf3"]
PROGRAMS = ["usr/bin/fio", "usr/bin/iperf3"]
UNUSED = ("python3", "libpython3", "perl", "dpkg", "debconf", "adduser", "passwd")
LABEL = "guest-tools"  # by which a scenario finds the disk


def make(apt: Apt, work: Path, out: Path):
    """Makes the disk in `out`; `work` is scratch space."""
    debs = [deb for deb in apt.fetch(PACKAGES, closure=True) if not deb.name.startswith(UNUSED)]
    shutil.rmtree(work, ignore_errors=True)
    stage, root = Stage(work / "stage"), work / "root"
    stage.create(debs)
    make_merged_usr(root)
    for program in PROGRAMS:
        stage.copy_program(root, program)
    for folder in ("dev", "proc", "sys", "tmp"):
        (root / folder).mkdir()
    out.mkdir(parents=True, exist_ok=True)
    image = out / "root.ext4"
    image.unlink(missing_ok=True)
    used = int(subprocess.run(["du", "-sk", "--apparent-size", root], capture_output=True, text=True,
                              check=True).stdout.split()[0])
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-L", LABEL, "-E", "root_owner=0:0", "-d", root,
                    image, f"{used + used // 4 + 8192}k"], check=True)
    shutil.rmtree(work)
