# SPDX-License-Identifier: GPL-2.0-or-later
"""dom0 as two boot modules: Debian's stock kernel and an initramfs made from Debian packages alone.

Leaves in the output folder:
  vmlinuz      the kernel as packaged (bzImage)
  vmlinux      the same kernel unpacked, for measuring without the unpacking
  initrd       the initramfs: busybox, bash, kernel modules, our /init and scenarios
  version      the kernel's version, for instance 6.1.0-42-amd64
"""

import shutil
from pathlib import Path

from image.apt import Apt
from image.bzimage import unpack
from image.cpio import CpioWriter
from image.stage import Stage, make_merged_usr

PROGRAM_PACKAGES = ["busybox-static", "bash"]
PROGRAMS = ["usr/bin/busybox", "usr/bin/bash"]
# What /init and the scenarios call; busybox brings them all.
APPLETS = """awk basename cat chmod chown chroot chvt clear cmp cp cut date dd df diff dirname dmesg du echo egrep env
    expr false find free grep gunzip gzip halt head hexdump hostname id ifconfig ip kill killall less ln ls lsmod md5sum
    mkdir mknod mktemp modprobe more mount mv nc nproc od pidof ping poweroff printf ps pwd readlink realpath reboot reset
    rm rmdir rmmod route sed seq setsid sha256sum sh sleep sort stat stty su sync tail tar taskset tee test tftp time timeout top
    touch tr true tty udhcpc umount uname uniq uptime usleep vi wc wget which xargs yes zcat""".split()
MODULES = """xen-privcmd xen-evtchn xen-gntdev xen-gntalloc xenfs virtio_pci virtio_blk virtio_net ahci sd_mod ata_piix
    e1000 e1000e ext4 crc32c_generic loop""".split()


def kernel_package(apt: Apt) -> str:
    """The package that linux-image-amd64 stands for at the moment."""
    return next(name for name in apt.depends("linux-image-amd64") if name.startswith("linux-image-"))


def make(apt: Apt, own_files: Path, work: Path, out: Path):
    """Makes dom0 in `out`; `own_files` is the tree that goes in as it is, `work` is scratch space."""
    package = kernel_package(apt)
    version = package.removeprefix("linux-image-")
    debs = apt.fetch([package], closure=False) + apt.fetch(PROGRAM_PACKAGES, closure=True)

    shutil.rmtree(work, ignore_errors=True)
    stage, root = Stage(work / "stage"), work / "root"
    stage.create(debs)
    make_merged_usr(root)
    for program in PROGRAMS:
        stage.copy_program(root, program)
    for applet in APPLETS:
        (root / "usr/bin" / applet).symlink_to("busybox")
    (root / "usr/sbin/modprobe").symlink_to("../bin/busybox")  # where the kernel looks for it
    stage.copy_modules(root, version, MODULES)
    for folder in ("dev", "proc", "sys", "run", "tmp", "mnt", "root", "etc"):
        (root / folder).mkdir(exist_ok=True)
    shutil.copytree(own_files, root, dirs_exist_ok=True)

    out.mkdir(parents=True, exist_ok=True)
    packed = (stage.root / f"boot/vmlinuz-{version}").read_bytes()
    (out / "vmlinuz").write_bytes(packed)
    (out / "vmlinux").write_bytes(unpack(packed))
    with open(out / "initrd", "wb") as stream:
        archive = CpioWriter(stream)
        archive.tree(root)
        archive.character_device("dev/console", 5, 1)
        archive.character_device("dev/null", 1, 3, 0o666)
        archive.close()
    (out / "version").write_text(version + "\n")
    shutil.rmtree(work)
