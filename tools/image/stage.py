# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder with unpacked Debian packages, and how parts of it get into an image with all they need.

Nothing of the staged system is run: libraries are found by reading ELF files, modules by reading modules.dep.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

LIBRARY_FOLDERS = ("usr/lib/x86_64-linux-gnu", "usr/lib", "usr/lib64")


class StageError(Exception):
    """Something that the image needs is not in the packages."""


class Stage:
    """Unpacked packages below `root`, laid out as bookworm does: /bin, /sbin, /lib point into /usr."""

    def __init__(self, root: Path):
        self.root = root

    def create(self, debs: list[Path], without=("usr/share/doc", "usr/share/man", "usr/share/locale")):
        make_merged_usr(self.root)
        excludes = [f"--exclude=./{folder}" for folder in without]
        for deb in debs:
            unpack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
            subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", self.root, *excludes],
                           stdin=unpack.stdout, check=True)
            if unpack.wait() != 0:
                raise StageError(f"cannot unpack {deb.name}; remove it and try again")

    def copy(self, target: Path, path: str):
        """Copies one file or link (following links inside the stage) to the same place in `target`."""
        source = self.root / path
        destination = target / path
        destination.parent.mkdir(parents=True, exist_ok=True)
        if destination.exists() or destination.is_symlink():
            return
        if source.is_symlink():
            # An absolute link means the stage's root, not this machine's.
            link = os.readlink(source)
            inside = link[1:] if link.startswith("/") else os.path.relpath(source.parent / link, self.root)
            destination.symlink_to(link)
            self.copy(target, self._merged(inside))
        elif source.is_file():
            shutil.copy2(source, destination)
        else:
            raise StageError(f"the packages have no /{path}")

    def copy_tree(self, target: Path, path: str):
        """Copies a file, or a folder with everything below it."""
        if not (self.root / path).is_dir():
            self.copy(target, path)
            return
        for folder, _, files in os.walk(self.root / path):
            (target / os.path.relpath(folder, self.root)).mkdir(parents=True, exist_ok=True)
            for name in files:
                self.copy(target, os.path.relpath(os.path.join(folder, name), self.root))

    def find(self, name: str, folders: tuple[str, ...]) -> str:
        """The path of the first file of that name."""
        for folder in folders:
            if (self.root / folder / name).exists():
                return f"{folder}/{name}"
        raise StageError(f"no package has the program {name}")

    def copy_program(self, target: Path, path: str):
        """Copies a program with its loader and all libraries that it needs (a script is copied alone)."""
        self.copy(target, path)
        if not is_elf((self.root / path).resolve()):
            return
        for needed in self._needed((self.root / path).resolve()):
            if not (target / needed).exists():
                self.copy_program(target, needed)

    def _needed(self, file: Path) -> list[str]:
        """The paths of the loader that the ELF file names and of the libraries that it needs itself."""
        text = subprocess.run(["readelf", "--wide", "--dynamic", "--program-headers", file],
                              capture_output=True, text=True, check=True).stdout
        loader = [self._merged(path.lstrip("/")) for path in re.findall(r"interpreter: (\S+)\]", text)]
        own_folders = tuple(self._merged(folder.lstrip("/")) for paths in re.findall(r"\(R(?:UN)?PATH\).*\[(.+)\]", text)
                            for folder in paths.split(":"))
        return loader + [self._library(name, own_folders) for name in re.findall(r"\(NEEDED\).*\[(.+)\]", text)]

    def _library(self, name: str, own_folders: tuple[str, ...]) -> str:
        for folder in own_folders + LIBRARY_FOLDERS:
            if (self.root / folder / name).exists():
                return f"{folder}/{name}"
        raise StageError(f"no package has the library {name}")

    @staticmethod
    def _merged(path: str) -> str:
        return re.sub(r"^(bin|sbin|lib|lib64)/", r"usr/\1/", path)

    def copy_modules(self, target: Path, version: str, names: list[str]):
        """Copies kernel modules with the modules that they depend on, and makes depmod's index."""
        subprocess.run(["/sbin/depmod", "-b", self.root, version], check=True)
        folder = f"usr/lib/modules/{version}"
        depends = {}
        for line in (self.root / folder / "modules.dep").read_text().splitlines():
            file, _, needs = line.partition(":")
            depends[module_name(file)] = [file, *needs.split()]
        builtin = {module_name(line) for line in
                   (self.root / folder / "modules.builtin").read_text().splitlines()}
        for name in (module_name(name) for name in names):
            if name in depends:
                for file in depends[name]:
                    self.copy(target, f"{folder}/{file}")
            elif name not in builtin:
                raise StageError(f"the kernel {version} has no module {name}")
        for index in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            self.copy(target, f"{folder}/{index}")
        subprocess.run(["/sbin/depmod", "-b", target, version], check=True)


def is_elf(file: Path) -> bool:
    with open(file, "rb") as content:
        return content.read(4) == b"\x7fELF"


def module_name(path: str) -> str:
    return os.path.basename(path).split(".")[0].replace("-", "_")


def make_merged_usr(root: Path):
    for folder in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / folder).mkdir(parents=True, exist_ok=True)
        if not (root / folder).is_symlink():
            (root / folder).symlink_to(f"usr/{folder}")
