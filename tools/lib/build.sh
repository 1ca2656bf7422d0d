# SPDX-License-Identifier: GPL-2.0-or-later
# How the hypervisor, the images and the tools for tests are built.

# configure_and_build PRESET TARGET: with CMake's preset of that name, in build/PRESET.
configure_and_build() {
    step "$build/logs/configure-$1.log" "configuring ($1)…" cmake --preset "$1"
    step "$build/logs/build-$1-$2.log" "building $2 ($1)…" cmake --build "build/$1" --target "$2"
}

build_hypervisor() {
    need $packages_build
    configure_and_build release domus
    cp --update build/release/domus.elf build/domus.elf
}

# make_images NAME...: see tools/image/__main__.py; does nothing for an image that is up to date.
make_images() {
    need $packages_image
    local stale
    stale=$(/usr/bin/python3 -m image --stale "$build" "$@")
    [ -z "$stale" ] && return
    step "$build/logs/image.log" "making images from Debian packages: $stale…" /usr/bin/python3 -m image "$build" $stale
}
