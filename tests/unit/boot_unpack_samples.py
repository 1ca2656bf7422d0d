#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes boot_unpack_samples.hpp anew: one text, packed by the real tools (gzip, xz, zstd, lz4, bzip2) in the formats that a
kernel may come in. sample() here and in boot_unpack_test.cpp must be the same."""
import os
import subprocess


def sample(size=20000):
    """Runs of zeros, short patterns, x86 calls, copies from near and far: what decoders have separate paths for."""
    out, x = bytearray(), 1

    def rnd(n):
        nonlocal x
        x = (x * 1103515245 + 12345) & 0x7FFFFFFF
        return (x >> 12) % n

    while len(out) < size:
        op = rnd(16) if len(out) > 64 else 1
        if op == 0:
            out += bytes(rnd(900))
        elif op == 1:
            out += bytes((0xE8, 0xE9, 0, 0xFF, rnd(256))[rnd(5)] for _ in range(8))
        elif op == 2:
            target = rnd(65536) - 32768 - len(out)
            out += bytes([0xE8 + rnd(2)]) + (target & 0xFFFFFFFF).to_bytes(4, "little")
        elif op == 3:
            period, length = 1 + rnd(9), rnd(300)
            for _ in range(length):
                out.append(out[-period])
        else:
            distance, length = 1 + rnd(len(out)), rnd(400)
            for _ in range(length):
                out.append(out[-distance])
    return bytes(out[:size])


FORMATS = [
    ("Gzip", "gzip -9n"),
    ("XzKernel", "xz --check=crc32 --x86 --lzma2=preset=9,dict=4KiB"),
    ("XzCrc64", "xz --check=crc64 --lzma2=preset=6,lc=0,lp=2,pb=0"),
    ("XzSha256", "xz --check=sha256 --block-size=8000"),
    ("Lzma", "xz --format=lzma -9"),
    ("Zstd", "zstd -q -19 --check"),
    ("Lz4", "lz4 -q -l -9"),
    ("Bzip2", "bzip2 -9"),
]

lines = [
    "// SPDX-License-Identifier: GPL-2.0-or-later",
    "// One text in every packed format; written by boot_unpack_samples.py.",
    "// clang-format off",
    "#pragma once",
    "",
    "#include <cstdint>",
    "",
]
for name, command in FORMATS:
    packed = subprocess.run(command.split() + ["-c"], input=sample(), stdout=subprocess.PIPE, check=True).stdout
    lines.append(f"// {command}: {len(packed)} bytes")
    lines.append(f"inline constexpr std::uint8_t k{name}Sample[] = {{")
    for i in range(0, len(packed), 24):
        lines.append("    " + ",".join(str(b) for b in packed[i : i + 24]) + ",")
    lines.append("};")
    lines.append("")
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "boot_unpack_samples.hpp"), "w") as f:
    f.write("\n".join(lines))
