# SPDX-License-Identifier: GPL-2.0-or-later
"""The same work on Domus and on Debian's Xen, side by side."""
