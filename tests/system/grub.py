# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots by GRUB 2, from BIOS and from UEFI firmware, with the menu entry that Debian's /etc/grub.d/20_linux_xen writes."""

import os
import shutil
import subprocess
from pathlib import Path

from qemu.machine import Config, Machine
from system.case import Case, Context, Failed, expect

FIRMWARE = "/usr/share/ovmf/OVMF.fd"

# The script's entry, with its placeholder words, for either protocol: LOADER and MODULE are the commands.
MENU = """\
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=0
menuentry 'Debian GNU/Linux, with Xen hypervisor' --class debian --class gnu-linux --class gnu --class os --class xen {{
	insmod part_gpt
	insmod ext2
	echo	'Loading Xen {version} ...'
        if [ "$grub_platform" = "pc" -o "$grub_platform" = "" ]; then
            xen_rm_opts=
        else
            xen_rm_opts="no-real-mode edd=off"
        fi
	{loader}	/boot/xen-{version}.gz placeholder {options} ${{xen_rm_opts}}
	echo	'Loading Linux ...'
	{module}	/boot/vmlinuz placeholder root=UUID=0f0e0d0c-0b0a-4908-8706-050403020100 ro {arguments}
	echo	'Loading initial ramdisk ...'
	{module}	--nounzip   /boot/initrd.img
}}
"""


def medium(context: Context, config: Config, loader: str, module: str) -> Path:
    """A bootable CD image with GRUB for both kinds of firmware; the hypervisor on it is packed, as Debian's is."""
    root, image = context.folder / "medium", context.folder / "grub.iso"
    boot = root / "boot"
    (boot / "grub").mkdir(parents=True)
    with open(boot / "xen-4.17-amd64.gz", "wb") as packed:
        subprocess.run(["gzip", "-n", "-c", config.hypervisor], stdout=packed, check=True)
    for source, name in ((config.kernel, "vmlinuz"), (config.initrd, "initrd.img")):
        try:
            os.link(source, boot / name)
        except OSError:
            shutil.copy(source, boot / name)
    (boot / "grub/grub.cfg").write_text(MENU.format(
        version="4.17-amd64", loader=loader, module=module, options=config.options(),
        arguments=config.kernel_arguments()), encoding="ascii")
    made = subprocess.run(["grub-mkrescue", "--locales=", "--fonts=", "--themes=", "-o", image, root],
                          capture_output=True, text=True, check=False)
    shutil.rmtree(root)
    if made.returncode:
        raise Failed(f"grub-mkrescue failed: {made.stderr.strip()[-300:]}")
    return image


def boots(loader: str, module: str, firmware: str | None = None, machine: str = "pc"):
    """Makes the test of one protocol and one kind of firmware."""

    def run(context: Context):
        config = context.config(machine=machine, append="scenario=firmware")
        image = medium(context, config, loader, module)
        config.boot = (["-bios", firmware] if firmware else []) + ["-cdrom", str(image)]
        with Machine(config, context.log) as vm:
            vm.expect(r"^@@ dom0 is up$", context.limit(240))
            vm.expect(r"^@@ firmware complete$", context.limit(60))
            vm.expect(r"reboot: Power down", context.limit(60))
            reason = vm.wait(context.limit(60))
            text = vm.text
        image.unlink()
        expect(reason == "guest-shutdown", f"the machine ended by {reason} instead of a power-off")
        wanted = f"@@ cmdline placeholder root=UUID=0f0e0d0c-0b0a-4908-8706-050403020100 ro {config.kernel_arguments()}"
        expect(f"\n{wanted}\n" in text, f"dom0's command line is not {wanted!r}")
        expect("\n@@ online 2\n" in text, "dom0 did not bring both CPUs up, which ACPI's tables name")
        expect("\n@@ acpi interpreter on\n" in text, "dom0 runs without ACPI")
        expect(f"\n@@ efi {'yes' if firmware else 'no'}\n" in text, "dom0 does not know which firmware the machine has")
        expect("unknown option" not in text, "Domus does not know an option that Debian's entry passes")

    return run


def names_its_protocols(context: Context):
    """grub-file, by which Debian's script chooses the command, knows both headers."""
    for protocol in ("multiboot", "multiboot2"):
        result = subprocess.run(["grub-file", f"--is-x86-{protocol}", context.hypervisor], check=False)
        expect(result.returncode == 0, f"grub-file does not take the image for {protocol}")


def cases() -> list[Case]:
    return [
        Case("grub-file recognises the image", names_its_protocols, True),
        Case("GRUB, BIOS, multiboot 2, Debian's menu entry", boots("multiboot2", "module2"), True),
        Case("GRUB, BIOS, multiboot 1, Debian's menu entry", boots("multiboot", "module", machine="q35")),
        Case("GRUB, UEFI, multiboot 2, Debian's menu entry", boots("multiboot2", "module2", FIRMWARE, "q35"), True),
        Case("GRUB, UEFI on pc, multiboot 2, Debian's menu entry", boots("multiboot2", "module2", FIRMWARE)),
    ]
