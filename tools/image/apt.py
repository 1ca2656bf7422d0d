# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages without touching the machine: apt with lists, cache and status of its own."""

import os
import re
import subprocess
from pathlib import Path


class AptError(Exception):
    """apt refused or failed; the text ends with the log's path."""


class Apt:
    """apt over the machine's own Debian sources, with all state below `home`.

    The status file is empty, as if nothing were installed, so a package's closure comes whole.
    """

    def __init__(self, home: Path, log: Path):
        self.home = home.resolve()
        self.log = log
        self.archives = self.home / "cache/archives"
        for folder in ("state/lists/partial", "cache/archives/partial", "empty"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        (self.home / "status").touch()
        (self.home / "debian.sources").write_text(debian_sources())
        (self.home / "apt.conf").write_text(self._configuration())

    def _configuration(self) -> str:
        # Proxies and the like carry over from the machine; its hooks (Post-Invoke) do not.
        dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
        kept = [line for line in dump.splitlines() if line.startswith("Acquire::")]
        return "\n".join(kept + [
            f'Dir::State "{self.home}/state";',
            f'Dir::State::status "{self.home}/status";',
            f'Dir::Cache "{self.home}/cache";',
            f'Dir::Etc::sourcelist "{self.home}/debian.sources";',
            f'Dir::Etc::sourceparts "{self.home}/empty";',
            f'Dir::Etc::parts "{self.home}/empty";',
            f'Dir::Etc::main "{self.home}/empty/none";',
            f'Dir::Etc::preferencesparts "{self.home}/empty";',
            'APT::Install-Recommends "false";',
            'APT::Sandbox::User "root";',
            'APT::Get::Assume-Yes "true";',
            'Debug::NoLocking "true";',
            ''])

    def _run(self, *command: str) -> str:
        environment = dict(os.environ, APT_CONFIG=str(self.home / "apt.conf"), LC_ALL="C")
        result = subprocess.run(command, capture_output=True, text=True, env=environment,
                                stdin=subprocess.DEVNULL, cwd=self.archives)
        with open(self.log, "a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n{result.stdout}{result.stderr}")
        if result.returncode != 0:
            reason = (result.stderr.strip().splitlines() or ["no reason given"])[0]
            raise AptError(f"{' '.join(command[:2])} failed: {reason}. The whole log: {self.log}")
        return result.stdout

    def update(self):
        self._run("apt-get", "-q", "update")

    def has_lists(self) -> bool:
        return any((self.home / "state/lists").glob("*_Packages*"))

    def depends(self, package: str) -> list[str]:
        """The packages that `package` depends on directly."""
        text = self._run("apt-cache", "depends", package)
        return re.findall(r"^ +\|?Depends: ([^<\s]+)$", text, re.MULTILINE)

    def fetch(self, packages: list[str], closure: bool) -> list[Path]:
        """Downloads packages (with all they depend on if `closure`); returns the .deb files' paths."""
        if not closure:
            return [self._fetch_one(name) for name in packages]
        plan = self._run("apt-get", "--simulate", "install", *packages)
        files = []
        for name, version, arch in re.findall(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)", plan, re.MULTILINE):
            files.append(self._file(name.split(":")[0], version, arch))
        self._run("apt-get", "-q", "--download-only", "install", *packages)
        missing = [file.name for file in files if not file.exists()]
        if missing or not files:
            raise AptError(f"apt did not deliver {missing or packages}. The whole log: {self.log}")
        return files

    def _file(self, name, version, arch) -> Path:
        return self.archives / f"{name}_{version.replace(':', '%3a')}_{arch}.deb"

    def _fetch_one(self, package: str) -> Path:
        show = self._run("apt-cache", "show", "--no-all-versions", package)
        field = dict(re.findall(r"^(Package|Version|Architecture): (.*)$", show, re.MULTILINE))
        file = self._file(field["Package"], field["Version"], field["Architecture"])
        if not file.exists():
            self._run("apt-get", "-q", "download", package)
        return file


def debian_sources() -> str:
    """The machine's own entries for its Debian release, in the deb822 format.

    Entries of other archives (a suite that is not the release's) are left out: a dead one must not stop us.
    """
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', Path("/etc/os-release").read_text(), re.MULTILINE))
    suite = re.compile(rf"({release.get('VERSION_CODENAME', 'bookworm')}|stable|oldstable)([-/].*)?$")
    stanzas = []
    folder = Path("/etc/apt/sources.list.d")
    for file in sorted(folder.glob("*.sources")):
        for block in re.split(r"\n\s*\n", file.read_text()):
            lines = [line for line in block.splitlines() if line and not line.startswith("#")]
            field = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
            if field.get("enabled", "yes") != "no" and "deb" in field.get("types", "").split():
                if all(suite.match(name) for name in field.get("suites", "none").split()):
                    stanzas.append("\n".join(line for line in lines if not line.lower().startswith("types:")))
    for file in [Path("/etc/apt/sources.list"), *sorted(folder.glob("*.list"))]:
        text = file.read_text() if file.exists() else ""
        for options, uri, name, components in re.findall(
                r"^\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#\n]+)", text, re.MULTILINE):
            if suite.match(name) and not uri.startswith("cdrom:"):
                signed = re.search(r"signed-by=(\S+)", options or "")
                stanzas.append(f"URIs: {uri}\nSuites: {name}\nComponents: {components.strip()}"
                               + (f"\nSigned-By: {signed.group(1)}" if signed else ""))
    if not stanzas:
        raise AptError("no Debian archive in /etc/apt/sources.list or /etc/apt/sources.list.d. Add one")
    return "\n\n".join(f"Types: deb\n{stanza}" for stanza in stanzas) + "\n"
