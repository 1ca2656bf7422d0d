# SPDX-License-Identifier: GPL-2.0-or-later
"""python3 -m image [--stale] BUILD-FOLDER WHAT...: makes the images that are missing or older than their recipe.

With --stale it only prints which those are. WHAT is dom0, full-root or reference-hypervisor. Results are in BUILD-FOLDER/WHAT/.
"""

import fcntl
import hashlib
import sys
from pathlib import Path

from image import dom0, full_root, reference
from image.apt import Apt, AptError
from image.stage import StageError

HERE = Path(__file__).resolve().parent


def recipe_digest(name: str) -> str:
    """Changes when anything that decides an image's content changes here."""
    digest = hashlib.sha256(name.encode())
    for file in sorted(path for path in HERE.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        digest.update(f"{file.relative_to(HERE)} {file.stat().st_mode:o} ".encode() + file.read_bytes())
    return digest.hexdigest()


def stale(name: str, build: Path) -> bool:
    stamp = build / name / ".recipe"
    return not stamp.exists() or stamp.read_text() != recipe_digest(name)


def make(name: str, build: Path):
    out = build / name
    stamp = out / ".recipe"
    stamp.unlink(missing_ok=True)
    apt = Apt(build / "apt", build / "logs/apt.log")

    def attempt():
        work = build / "work" / name
        if name == "dom0":
            dom0.make(apt, HERE / "root", work, out)
        elif name == "full-root":
            full_root.make(apt, HERE / "full-root", work, out)
        elif name == "reference-hypervisor":
            reference.make(apt, work, out)
        else:
            raise SystemExit(f"image: no recipe for {name}")

    if not apt.has_lists():
        apt.update()
    try:
        attempt()
    except AptError:
        apt.update()  # the archive may have moved on since the lists were read
        attempt()
    stamp.write_text(recipe_digest(name))


def main(*words: str):
    only_list = words[0] == "--stale"
    build, *names = words[1:] if only_list else words
    if only_list:
        print(*(name for name in names if stale(name, Path(build))))
        return
    Path(build).mkdir(parents=True, exist_ok=True)
    with open(Path(build) / ".image-lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in names:
            if stale(name, Path(build)):
                make(name, Path(build).resolve())


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (AptError, StageError, OSError, ValueError) as problem:
        sys.exit(f"image: {problem}")
