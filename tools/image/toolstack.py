# SPDX-License-Identifier: GPL-2.0-or-later
"""dom0 with Debian's Xen toolstack, as an initramfs, and a guest inside it.

toolstack-base is the slow part, made from packages: xen-utils, xenstored, the device model, real coreutils, the
network and block back ends; below /guest the kernel and the guest's small initramfs. Leaves root.cpio.
toolstack is the same with our /init, daemons' start and scenarios laid over it: initrd, made in a second.
libvirt-base and libvirt are the same two with libvirtd and virsh.
"""

import os
import shutil
from pathlib import Path

from image import dom0
from image.apt import Apt
from image.bzimage import unpack
from image.cpio import CpioWriter
from image.stage import Stage, make_merged_usr

PACKAGES = """xen-utils-4.17 xen-utils-common xenstore-utils qemu-system-xen grub-xen-host busybox-static
    bash dash coreutils util-linux mount sed grep mawk findutils iproute2 bridge-utils kmod iputils-ping
    procps e2fsprogs iperf3""".split()
LIBVIRT_PACKAGES = ["libvirt-daemon", "libvirt-daemon-driver-xen", "libvirt-clients"]
# Packages of the closure that nothing here runs: documentation, maintainer scripts' helpers, interpreters.
UNUSED = ("iso-codes", "python3", "libpython3", "grub-common", "initramfs", "dpkg", "perl", "udev", "adduser",
          "debconf", "linux-base", "logsave", "passwd", "libssl-dev")
# Real programs where the hotplug scripts or a person would miss busybox's; busybox brings the others.
PROGRAMS = """bash dash sed grep mawk kmod ping find xargs flock setsid mount umount taskset ps iperf3
    cat chmod chown cp cut date dd dirname basename echo env expr head id ln ls mkdir mkfifo mknod mktemp mv od readlink
    realpath rm rmdir seq sha256sum shuf sleep sort stat stty sync tail tee timeout touch tr true truncate uname uniq wc""".split()
ADMIN_PROGRAMS = "ip bridge brctl losetup blkid mke2fs".split()
TREES = """usr/lib/xen-common etc/xen etc/default usr/lib/grub-xen/grub-x86_64-xen.bin usr/share/seabios
    usr/lib/ipxe/qemu usr/share/qemu/keymaps usr/share/qemu/linuxboot.bin usr/share/qemu/linuxboot_dma.bin
    usr/share/qemu/kvmvapic.bin""".split()
XEN_LIBRARY = "usr/lib/xen-4.17"
DEVICE_MODEL = "usr/libexec/xen-qemu-system-i386"
MODULES = dom0.MODULES + ["xen-blkback", "xen-netback", "bridge", "stp", "tun"]
GUEST_MODULES = ["xen-blkfront", "xen-netfront", "ext4", "crc32c_generic"]
FOLDERS = """dev proc sys run tmp mnt root etc var/lib/xen var/lib/xenstored var/log/xen/console usr/lib/xen-4.17/boot
    """.split()


def make_base(apt: Apt, guest_files: Path, work: Path, out: Path, libvirt: bool = False):
    """Makes root.cpio in `out`; `guest_files` goes into the guest's initramfs as it is, `work` is scratch space."""
    kernel = dom0.kernel_package(apt)
    version = kernel.removeprefix("linux-image-")
    packages = PACKAGES + (LIBVIRT_PACKAGES if libvirt else [])
    debs = apt.fetch([kernel], closure=False)
    debs += [deb for deb in apt.fetch(packages, closure=True) if not deb.name.startswith(UNUSED)]

    shutil.rmtree(work, ignore_errors=True)
    stage, root, guest = Stage(work / "stage"), work / "root", work / "guest"
    stage.create(debs)
    make_merged_usr(root)
    for path in programs(stage) + (libvirt_programs(stage) if libvirt else []):
        stage.copy_program(root, path)
    for path in TREES:
        stage.copy_tree(root, path)
    for link, target in (("usr/bin/awk", "mawk"), ("usr/bin/sh", "dash"), ("usr/share/qemu/seabios", "../seabios")):
        (root / link).unlink(missing_ok=True)
        (root / link).symlink_to(target)
    for name in ("depmod", "insmod", "lsmod", "modprobe", "rmmod"):
        (root / "usr/sbin" / name).symlink_to("../bin/kmod")
    for applet in dom0.APPLETS + ["gzip", "logger", "pgrep", "zcat"]:
        if not any((root / folder / applet).is_symlink() or (root / folder / applet).exists()
                   for folder in ("usr/bin", "usr/sbin")):
            (root / "usr/bin" / applet).symlink_to("busybox")
    stage.copy_modules(root, version, MODULES)
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "var/run").symlink_to("/run")
    (root / "var/lock").symlink_to("/run/lock")

    (root / "guest").mkdir()
    packed = (stage.root / f"boot/vmlinuz-{version}").read_bytes()
    (root / "guest/vmlinuz").write_bytes(packed)
    (root / "guest/vmlinux").write_bytes(unpack(packed))  # saves the toolstack the unpacking
    make_guest(stage, version, guest_files, guest, root / "guest/initrd")

    out.mkdir(parents=True, exist_ok=True)
    write_archive(root, out / "root.cpio")
    shutil.rmtree(work)


def programs(stage: Stage) -> list[str]:
    xen = [str(path.relative_to(stage.root)) for path in sorted((stage.root / XEN_LIBRARY / "bin").iterdir())]
    wrappers = [str(path.relative_to(stage.root)) for folder in ("usr/sbin", "usr/bin")
                for path in sorted((stage.root / folder).iterdir())
                if path.name.startswith("xenstore")
                or path.is_symlink() and os.readlink(path).endswith("xen-utils-wrapper")]
    return ([f"usr/bin/{name}" for name in PROGRAMS] + ["usr/bin/busybox", DEVICE_MODEL] + xen + wrappers
            + [stage.find(name, ("usr/sbin", "usr/bin")) for name in ADMIN_PROGRAMS])


def libvirt_programs(stage: Stage) -> list[str]:
    folder = stage.root / "usr/lib/x86_64-linux-gnu/libvirt"
    plugins = [str(path.relative_to(stage.root)) for path in sorted(folder.rglob("*.so"))]
    return [stage.find(name, ("usr/sbin", "usr/bin")) for name in ("libvirtd", "virtlogd", "virsh")] + plugins


def make_guest(stage: Stage, version: str, own_files: Path, root: Path, initrd: Path):
    """The guest's userland: busybox, its front-end drivers, and our /init, which takes orders on the console."""
    make_merged_usr(root)
    stage.copy_program(root, "usr/bin/busybox")
    (root / "usr/bin/sh").symlink_to("busybox")
    (root / "usr/sbin/modprobe").symlink_to("../bin/busybox")
    stage.copy_modules(root, version, GUEST_MODULES)
    for folder in ("dev", "proc", "sys", "run", "tmp", "mnt", "root", "etc"):
        (root / folder).mkdir(exist_ok=True)
    shutil.copytree(own_files, root, dirs_exist_ok=True)
    write_archive(root, initrd)


def write_archive(root: Path, file: Path):
    with open(file, "wb") as stream:
        archive = CpioWriter(stream)
        archive.tree(root)
        archive.character_device("dev/console", 5, 1)
        archive.character_device("dev/null", 1, 3, 0o666)
        archive.close()


def make(base: Path, overlays: list[Path], work: Path, out: Path):
    """Lays the folders `overlays` over root.cpio in `base`; the kernel unpacks one archive after the other."""
    shutil.rmtree(work, ignore_errors=True)
    for overlay in overlays:
        shutil.copytree(overlay, work, dirs_exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "initrd", "wb") as stream:
        with open(base / "root.cpio", "rb") as archive:
            shutil.copyfileobj(archive, stream, 1 << 20)
        archive = CpioWriter(stream)
        archive.tree(work)
        archive.close()
    shutil.rmtree(work)
