# SPDX-License-Identifier: GPL-2.0-or-later
"""Booting machines in QEMU."""
