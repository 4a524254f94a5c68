#!/usr/bin/env python3
"""The documents tell the truth: links lead somewhere, every `./dev` command they name exists, README's table has exactly the
settings of vsyncd, and the vsyncctl commands that it shows are known to vsyncctl.

Usage: check_readme.py [--vsyncd PROGRAM] [--vsyncctl PROGRAM]
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NO_SETTINGS = {"--help", "--version", "--config", "--check-config"}
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout + done.stderr


def dead_links(path, text):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not (path.parent / target).exists():
            yield f"dead link {target}"


def named_paths(text):
    """Paths of this tree in back quotes must exist (patterns and placeholders aside)."""
    for name in re.findall(r"`((?:lib|daemon|ctl|tests|docs|proto|cmake)/[\w./-]+)`", text):
        if not (ROOT / name).exists():
            yield f"no such file {name}"


def unknown(text, pattern, known, what):
    return [f"no such {what}: {word}" for word in sorted(set(re.findall(pattern, text))) if word not in known]


def check(path, arguments):
    text = path.read_text()
    problems = [*dead_links(path, text), *named_paths(text)]
    dev = set(re.findall(r"^  ([a-z]+)\b", output("bash", str(ROOT / "dev"), "help"), re.M))
    problems += unknown(text, r"\./dev ([a-z]+)", dev, "./dev command")
    if arguments.vsyncd and path.name == "README.md":
        known = set(re.findall(r"^ .*?(--[a-z][a-z-]+)", output(arguments.vsyncd, "--help"), re.M)) - NO_SETTINGS
        settings = {s for cell in re.findall(r"^\| (`--[^|]*)", text, re.M) for s in re.findall(r"--[a-z][a-z-]+", cell)}
        problems += [f"vsyncd has no {s}" for s in sorted(settings - known)]
        problems += [f"{s} of vsyncd is missing in the table of settings" for s in sorted(known - settings)]
    if arguments.vsyncctl and path.name == "README.md":
        known = set(re.findall(r"^  ([a-z][a-z-]+)", output(arguments.vsyncctl, "--help"), re.M))
        problems += unknown(text, r"^vsyncctl ([a-z][a-z-]+)", known, "vsyncctl command")
    return [f"{path.relative_to(ROOT)}: {p}" for p in problems]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vsyncd")
    parser.add_argument("--vsyncctl")
    arguments = parser.parse_args()
    problems = [p for path in DOCUMENTS for p in check(path, arguments)]
    print("\n".join(problems) if problems else "documents: ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
