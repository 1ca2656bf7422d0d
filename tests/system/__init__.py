# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the whole: Domus in QEMU with Debian's kernel as dom0."""
