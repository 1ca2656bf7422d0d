# SPDX-License-Identifier: GPL-2.0-or-later
"""The ELF kernel inside a bzImage. Fields: Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"."""

import bz2
import gzip
import lzma
import struct


def unpack(image: bytes) -> bytes:
    """Returns the vmlinux that `image` carries; ValueError if it is no bzImage that this knows."""
    if len(image) < 0x264 or image[0x202:0x206] != b"HdrS":
        raise ValueError("not a bzImage: the boot protocol's magic is not there")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = image[start:start + length - 4]  # the last four bytes are the unpacked size
    size, = struct.unpack_from("<I", image, start + length - 4)
    if payload.startswith(b"\xfd7zXZ"):
        kernel = lzma.decompress(payload, lzma.FORMAT_XZ)
    elif payload.startswith(b"\x1f\x8b"):
        kernel = gzip.decompress(payload)
    elif payload.startswith(b"BZh"):
        kernel = bz2.decompress(payload)
    elif payload.startswith(b"\x5d\x00\x00"):
        kernel = lzma.decompress(payload, lzma.FORMAT_ALONE)
    else:
        raise ValueError(f"the payload is packed in a way not known here (it begins {payload[:4].hex()})")
    if not kernel.startswith(b"\x7fELF") or len(kernel) != size:
        raise ValueError("the unpacked payload is not the ELF file that the header promises")
    return kernel
