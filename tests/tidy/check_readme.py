#!/usr/bin/env python3
"""The documents tell the truth: links lead somewhere, every `./dev` command they name exists, README's table has exactly the
settings of vsyncd, the vsyncctl commands that it shows are known to vsyncctl, and every case of ./dev compose has its story.

Usage: check_readme.py [--vsyncd PROGRAM] [--vsyncctl PROGRAM]
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NO_SETTINGS = {"--help", "--version", "--config", "--check-config"}
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "compose" / "README.md"]


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


def stories(text):
    """Every case of ./dev compose has a section of compose/README.md that tells it in five points, A to E."""
    cases = set(re.findall(r'^@case\("([\w-]+)"', "".join(p.read_text() for p in (ROOT / "compose/judge").glob("*.py")), re.M))
    told = {name: "".join(re.findall(r"^- ([A-Z]):", section, re.M))
            for name, section in re.findall(r"^### ([\w-]+).*\n((?:(?!#).*\n?)*)", text, re.M)}
    for name in sorted(cases | set(told)):
        if name not in cases:
            yield f"a story of no case: {name}"
        elif told.get(name) != "ABCDE":
            yield f"the story of {name} is not told in five points, A to E"


def check(path, arguments):
    text = path.read_text()
    problems = [*dead_links(path, text), *named_paths(text)]
    dev = set(re.findall(r"^  ([a-z]+)\b", output("bash", str(ROOT / "dev"), "help"), re.M))
    problems += unknown(text, r"\./dev ([a-z]+)", dev, "./dev command")
    if path == ROOT / "compose" / "README.md":
        problems += stories(text)
    if arguments.vsyncd and path == ROOT / "README.md":
        known = set(re.findall(r"^ .*?(--[a-z][a-z-]+)", output(arguments.vsyncd, "--help"), re.M)) - NO_SETTINGS
        settings = {s for cell in re.findall(r"^\| (`--[^|]*)", text, re.M) for s in re.findall(r"--[a-z][a-z-]+", cell)}
        problems += [f"vsyncd has no {s}" for s in sorted(settings - known)]
        problems += [f"{s} of vsyncd is missing in the table of settings" for s in sorted(known - settings)]
    if arguments.vsyncctl and path == ROOT / "README.md":
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
