# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk with a whole Debian userland: a compiler, a package manager, a load generator.

Leaves root.ext4, which dom0's scenario full-root mounts and enters with chroot. It is made with `mke2fs -d`,
so it needs no root and no mount. The packages are unpacked, not configured; dpkg's database knows them as
installed, so that dpkg and apt can add /debs/*.deb to them.
"""

import shutil
import subprocess
from pathlib import Path

from image.apt import Apt
from image.stage import Stage

PACKAGES = """bash dash libc-bin coreutils util-linux grep sed mawk findutils diffutils tar gzip procps hostname
    base-files base-passwd dpkg apt gcc libc6-dev make stress-ng libreadline8""".split()
TO_INSTALL_INSIDE = ["hello", "bc"]
WITHOUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/bug",
           "usr/lib/x86_64-linux-gnu/dri", "usr/lib/gcc/x86_64-linux-gnu/12/lto1")


def make(apt: Apt, own_files: Path, work: Path, out: Path):
    """Makes the disk in `out`; `own_files` is the tree that goes in as it is, `work` is scratch space."""
    debs = apt.fetch(PACKAGES, closure=True)
    extra = apt.fetch(TO_INSTALL_INSIDE, closure=False)

    shutil.rmtree(work, ignore_errors=True)
    stage = Stage(work / "stage")
    stage.create(debs, WITHOUT)
    root = stage.root
    register(root, debs)
    (root / "debs").mkdir()
    for deb in extra:
        shutil.copy(deb, root / "debs")
    for folder in ("dev", "proc", "sys", "run", "tmp"):
        (root / folder).mkdir(exist_ok=True)
    # What the packages' own scripts would have made when configured.
    shutil.copy(root / "usr/share/base-passwd/passwd.master", root / "etc/passwd")
    shutil.copy(root / "usr/share/base-passwd/group.master", root / "etc/group")
    for link, target in (("usr/bin/awk", "mawk"), ("usr/bin/sh", "dash")):
        (root / link).unlink(missing_ok=True)
        (root / link).symlink_to(target)
    shutil.copytree(own_files, root, dirs_exist_ok=True)

    out.mkdir(parents=True, exist_ok=True)
    image = out / "root.ext4"
    image.unlink(missing_ok=True)
    used = int(subprocess.run(["du", "-sk", "--apparent-size", root], capture_output=True, text=True,
                              check=True).stdout.split()[0])
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-L", "full-root", "-E", "root_owner=0:0", "-d", root, image,
                    f"{used + used // 4 + 300 * 1024}k"], check=True)
    shutil.rmtree(work)


def register(root: Path, debs: list[Path]):
    """Writes dpkg's database: every package is installed and its files are known."""
    database = root / "var/lib/dpkg"
    for folder in ("info", "updates", "triggers", "parts", "alternatives"):
        (database / folder).mkdir(parents=True, exist_ok=True)
    paragraphs = []
    for deb in debs:
        control = subprocess.run(["dpkg-deb", "--field", deb], capture_output=True, text=True, check=True).stdout
        first, rest = control.split("\n", 1)
        paragraphs.append(f"{first}\nStatus: install ok installed\n{rest.rstrip()}\n")
        fields = dict(line.split(": ", 1) for line in control.splitlines() if ": " in line and line[0] != " ")
        listing = subprocess.run(["dpkg-deb", "--contents", deb], capture_output=True, text=True, check=True).stdout
        paths = [line.split(None, 5)[5].split(" -> ")[0].removeprefix(".").rstrip("/") or "/."
                 for line in listing.splitlines()]
        shared = fields.get("Multi-Arch") == "same"
        name = fields["Package"] + (f":{fields['Architecture']}" if shared else "")
        (database / "info" / f"{name}.list").write_text("\n".join(paths) + "\n")
    (database / "status").write_text("\n".join(paragraphs))
    (database / "available").touch()
