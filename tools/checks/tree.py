# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks that read the tree without running it: licence lines, format, clang-tidy."""

import json
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCE = {".cpp", ".hpp", ".c", ".h"}
SPDX_SUFFIXES = SOURCE | {".S", ".py", ".sh", ".cmake", ".lds", ".ld", ".txt", ".yml", ".lock"}
SPDX_LINE = "SPDX-License-Identifier: GPL-2.0-or-later"


def files(root: Path) -> list[Path]:
    """Every file of the project, sorted; build output and git's own are not the project."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in (".git", "__pycache__")
                            and Path(folder, name) != root / "build")
        found += [Path(folder, name) for name in sorted(names)]
    return found


def is_script(file: Path) -> bool:
    with open(file, "rb") as content:
        return content.read(2) == b"#!"


def spdx(root: Path) -> list[str]:
    """Files that do not say their licence in their first lines."""
    problems, seen = [], 0
    for file in files(root):
        if file.is_symlink() or (file.suffix not in SPDX_SUFFIXES and not is_script(file)):
            continue
        seen += 1
        with open(file, encoding="utf-8") as content:
            if not any(SPDX_LINE in line for line in [content.readline() for _ in range(3)]):
                problems.append(f"{file.relative_to(root)}: no '{SPDX_LINE}' in its first three lines")
    return problems or ([] if seen else ["found no files to check"])


def formatted(root: Path) -> list[str]:
    """Lines that clang-format would change."""
    sources = [file for file in files(root) if file.suffix in SOURCE]
    if not sources:
        return ["found no sources to check"]
    result = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *sources], cwd=root,
                            capture_output=True, text=True, check=False)
    problems = re.findall(rf"^(?:{re.escape(str(root))}/)?(\S+:\d+:\d+): error", result.stderr, re.MULTILINE)
    return [f"{place}: not as clang-format-19 wants it" for place in problems] or \
        ([result.stderr.strip()[-400:]] if result.returncode else [])


def tidy(root: Path, build: Path) -> list[str]:
    """What clang-tidy finds in our own sources, as the compile commands in `build` compile them."""
    commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    ours = sorted({entry["file"] for entry in commands
                   if Path(entry["file"]).is_relative_to(root) and
                   not Path(entry["file"]).is_relative_to(root / "build") and
                   not Path(entry["file"]).is_relative_to(root / "third_party") and
                   not Path(entry["file"]).is_relative_to(root / "tests")})
    if not ours:
        return ["found no sources to check"]

    def one(file: str) -> list[str]:
        result = subprocess.run(
            ["clang-tidy-19", "--quiet", "-p", str(build), "--extra-arg=-Wno-unknown-warning-option", file],
            capture_output=True, text=True, check=False)
        found = re.findall(r"^\S+:\d+:\d+: (?:error|warning): .*$", result.stdout, re.MULTILINE)
        if result.returncode and not found:
            found = [f"{shlex.quote(file)}: {(result.stdout + result.stderr).strip()[-400:]}"]
        return [line.removeprefix(f"{root}/") for line in found]

    problems = set()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, lines in enumerate(pool.map(one, ours), 1):
            problems.update(lines)
            if done % 25 == 0:
                print(f"               {done} of {len(ours)} files", flush=True)
    return sorted(problems)
