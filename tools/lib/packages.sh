# SPDX-License-Identifier: GPL-2.0-or-later
# Which Debian packages each part of the work needs, and how the missing ones get onto this machine.

packages_build="g++ binutils cmake ninja-build libxen-dev dpkg-dev xz-utils ca-certificates"
packages_image="python3 binutils kmod"
packages_run="$packages_image qemu-system-x86 e2fsprogs"
packages_test="libgtest-dev clang-19 lld-19 clang-format-19 clang-tidy-19 grub-common grub-pc-bin grub-efi-amd64-bin ovmf xorriso mtools"
packages_bench="gcc libc6-dev"

has_package() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# need PACKAGE...: install those that are not there, after naming them. Nothing else of the machine changes.
need() {
    local p missing=()
    for p; do has_package "$p" || missing+=("$p"); done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing Debian packages (takes minutes; apt's output: build/logs/packages.log): ${missing[*]}"
    local as_root=() install="apt-get install --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "this needs root or sudo. As root, run: $install"
        # It asks for the password here, where it can be seen, and not once for each command below.
        sudo true || die "sudo did not let this user in. As root, run: $install"
        as_root=(sudo)
    fi
    local log=$build/logs/packages.log
    mkdir -p "$build/logs"
    : >"$log"
    # An old package list names files that mirrors no longer have: try with what there is, then refresh it.
    with_progress "$log" install_packages "${missing[@]}" && return
    say "refreshing the list of Debian packages…"
    "${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=300 update >>"$log" 2>&1 </dev/null || true
    with_progress "$log" install_packages "${missing[@]}" && return
    tail -n 15 "$log" | sed 's/^/    /' >&2
    die "could not install ${missing[*]}. Does '$install' work, as root? The whole log: $log"
}

install_packages() {    # uses need's as_root
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 install "$@" </dev/null
}
