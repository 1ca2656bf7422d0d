# SPDX-License-Identifier: GPL-2.0-or-later
"""An initramfs archive (cpio "newc"), written without root.

Format: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
Every entry belongs to root and has time 0, so that equal content gives an equal archive.
"""

import os
import stat


class CpioWriter:
    """Writes entries to a binary stream; close() adds the trailer."""

    def __init__(self, stream):
        self._stream = stream
        self._inode = 0

    def _entry(self, name, mode, data=b"", device=(0, 0)):
        self._inode += 1
        links = 2 if stat.S_ISDIR(mode) else 1
        raw_name = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, links, 0, len(data), 0, 0, device[0], device[1], len(raw_name), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + raw_name
        self._stream.write(header + bytes(-len(header) % 4))
        self._stream.write(data)
        self._stream.write(bytes(-len(data) % 4))

    def character_device(self, name, major, minor, permissions=0o600):
        self._entry(name, stat.S_IFCHR | permissions, device=(major, minor))

    def tree(self, root):
        """Adds everything below the folder `root`, in sorted order."""
        for folder, folders, files in os.walk(root):
            folders.sort()
            for name in sorted(folders + files):
                path = os.path.join(folder, name)
                info = os.lstat(path)
                relative = os.path.relpath(path, root)
                if stat.S_ISLNK(info.st_mode):
                    self._entry(relative, info.st_mode, os.readlink(path).encode())
                elif stat.S_ISDIR(info.st_mode):
                    self._entry(relative, info.st_mode)
                elif stat.S_ISREG(info.st_mode):
                    with open(path, "rb") as content:
                        self._entry(relative, info.st_mode, content.read())

    def close(self):
        self._entry("TRAILER!!!", 0)
