# SPDX-License-Identifier: GPL-2.0-or-later
"""python3 -m image [--stale] BUILD-FOLDER WHAT...: makes the images that are missing or older than their recipe.

With --stale it only prints which those are. WHAT is a name in RECIPES. Results are in BUILD-FOLDER/WHAT/.
"""

import fcntl
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from image import dom0, full_root, guest_tools, reference, toolstack
from image.apt import Apt, AptError
from image.stage import StageError

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Recipe:
    """How one image is made: `make(apt, scratch folder, output folder)`, from `folders` here and from other images."""

    make: Callable[[Apt, Path, Path], None]
    folders: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


RECIPES = {
    "dom0": Recipe(lambda apt, work, out: dom0.make(apt, HERE / "root", work, out), ("root",)),
    "full-root": Recipe(lambda apt, work, out: full_root.make(apt, HERE / "full-root", work, out), ("full-root",)),
    "guest-tools": Recipe(guest_tools.make),
    "reference-hypervisor": Recipe(reference.make),
}
for variant in ("toolstack", "libvirt"):
    RECIPES[f"{variant}-base"] = Recipe(
        lambda apt, work, out, libvirt=variant == "libvirt":
            toolstack.make_base(apt, HERE / "guest-root", work, out, libvirt), ("guest-root",))
    RECIPES[variant] = Recipe(
        lambda apt, work, out, base=f"{variant}-base":
            toolstack.make(out.parent / base, [HERE / "root", HERE / "toolstack-root"], work, out),
        ("root", "toolstack-root"), (f"{variant}-base",))


def recipe_digest(name: str) -> str:
    """Changes when anything that decides an image's content changes here."""
    recipe = RECIPES[name]
    digest = hashlib.sha256(name.encode())
    for image in recipe.images:
        digest.update(recipe_digest(image).encode())
    files = [*HERE.glob("*.py"), *(path for folder in recipe.folders for path in (HERE / folder).rglob("*"))]
    for file in sorted(path for path in files if path.is_file() and "__pycache__" not in path.parts):
        digest.update(f"{file.relative_to(HERE)} {file.stat().st_mode:o} ".encode() + file.read_bytes())
    return digest.hexdigest()


def stale(name: str, build: Path) -> bool:
    stamp = build / name / ".recipe"
    return not stamp.exists() or stamp.read_text() != recipe_digest(name)


def make(name: str, build: Path):
    """Makes an image that is missing or old, and before it those that it is made from."""
    if not stale(name, build):
        return
    recipe = RECIPES[name]
    for image in recipe.images:
        make(image, build)
    out = build / name
    stamp = out / ".recipe"
    stamp.unlink(missing_ok=True)
    apt = Apt(build / "apt", build / "logs/apt.log")
    if not apt.has_lists():
        apt.update()
    try:
        recipe.make(apt, build / "work" / name, out)
    except AptError:
        apt.update()  # the archive may have moved on since the lists were read
        recipe.make(apt, build / "work" / name, out)
    stamp.write_text(recipe_digest(name))


def main(*words: str):
    only_list = words[0] == "--stale"
    build, *names = words[1:] if only_list else words
    unknown = [name for name in names if name not in RECIPES]
    if unknown:
        raise SystemExit(f"image: no recipe for {' '.join(unknown)}. There are: {' '.join(RECIPES)}")
    if only_list:
        print(*(name for name in names if stale(name, Path(build))))
        return
    Path(build).mkdir(parents=True, exist_ok=True)
    with open(Path(build) / ".image-lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in names:
            make(name, Path(build).resolve())


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (AptError, StageError, OSError, ValueError) as problem:
        sys.exit(f"image: {problem}")
