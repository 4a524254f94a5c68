#!/usr/bin/env python3
"""House rules that a text search can check, on every file of the tree. Prints FILE:LINE: why, exits 1 on any violation."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED_DIRS = {".git", "build", ".cache", "__pycache__", "corpus"}
CODE = {".h", ".cpp"}
TEXT = CODE | {".py", ".md", ".txt", ".cmake", ".proto", ".scn", ".json", ".sh", ".toml", ".yml", ".yaml", ""}
MAX_LINES = 700  # a file one can read in a sitting

# Spelled in two halves so that this file passes its own check.
FORBIDDEN = [(re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"), "unfinished work belongs in an issue"),
             (re.compile(r"[ \t]+$"), "trailing blanks"),
             (re.compile(r"^(<<<" + r"<<<<|>>>" + r">>>>)"), "conflict marker")]
# Waiting is for events with a deadline; the only sleeping is the poll in tests/support/waiting.py.
SLEEPS = ("sleep_for", "sleep_until", "usleep", "nanosleep", "time.sleep")
SLEEP = re.compile(rf"\b({'|'.join(map(re.escape, SLEEPS))})\s*\(")


def files():
    for path in sorted(ROOT.rglob("*")):
        relative = path.relative_to(ROOT)
        if path.is_file() and not path.is_symlink() and not SKIPPED_DIRS.intersection(relative.parts) and path.suffix in TEXT:
            yield relative.as_posix(), path


def check(name, text):
    suffix = Path(name).suffix
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        for pattern, why in FORBIDDEN:
            if pattern.search(line):
                yield f"{name}:{number}: {why}"
        if suffix in CODE | {".py"} and SLEEP.search(line) and name != "tests/support/waiting.py":
            yield f"{name}:{number}: wait for an event with a deadline instead of sleeping"
    if text and not text.endswith("\n"):
        yield f"{name}:{len(lines)}: no newline at the end"
    if suffix in CODE and len(lines) > MAX_LINES:
        yield f"{name}:{len(lines)}: longer than {MAX_LINES} lines"
    if suffix == ".h" and "#pragma once" not in text:
        yield f"{name}:1: no #pragma once"


def self_test():
    bad = {"a.cpp": "// TO" + "DO later\n", "b.h": "int x;\n", "d.md": "blank \n", "e.cpp": "x\n" * 701, "f.py": "end"}
    bad |= {f"{call}.cpp": f"a::{call}(1s);\n" for call in SLEEPS}
    return [f"self-test: not found in {name}" for name, text in bad.items() if not list(check(name, text))]


def main():
    if "--self-test" in sys.argv:
        violations = self_test()
    else:
        violations = [v for name, path in files() for v in check(name, path.read_text(errors="replace"))]
    print("\n".join(violations) if violations else "text: ok")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
