# SPDX-License-Identifier: GPL-2.0-or-later
"""Images made from Debian packages: dom0, a full root, the reference hypervisor."""
