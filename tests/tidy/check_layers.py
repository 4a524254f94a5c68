#!/usr/bin/env python3
"""Layer check: every #include between modules must be an edge of layers.txt, and lib/core must stay pure.

Prints each violation as FILE:LINE and exits 1 if there is one. `--self-test` proves that it can fail.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

# Directory in the tree -> module: what is built by itself. Longest match wins.
MODULE_DIRS = ["daemon", "ctl", *sorted(path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("lib/*/**/CMakeLists.txt"))]
LIBRARIES = {"asio", "spdlog", "fmt", "google", "CLI", "tl", "systemd", "catch2"}

# Rule 0: the core reads no clock, starts no thread, draws no randomness but the given Rng, does no I/O, iterates no hash table.
IMPURE_HEADERS = {"thread", "mutex", "shared_mutex", "condition_variable", "future", "atomic", "stop_token", "semaphore", "latch",
                  "barrier", "random", "ctime", "iostream", "fstream", "filesystem", "unordered_map", "unordered_set",
                  "exception", "stdexcept"}
IMPURE_TEXT = re.compile(r"_clock\s*::\s*now|\bthrow\b|\bcatch\s*\(|\bstd::(rand|time|getenv)\b|\bf?printf\s*\("
                         r"|\bunordered_(multi)?(map|set)\b")


def module_name(directory):
    return directory.removeprefix("lib/")


def module_of(path):
    """Module of a source file given relative to the root, None outside of all modules."""
    found = [d for d in MODULE_DIRS if path.startswith(d + "/")]
    return module_name(max(found, key=len)) if found else None


def target_of(header, own):
    """What an #include names: a module, a proto package, a library, or None for standard and system headers."""
    package = re.match(r"vsync/(peer|control|store)/v\d+/", header)
    if package:
        return "proto/" + package[1]
    if header.startswith("vsync/"):
        return "client"
    first = header.split("/")[0].removesuffix(".hpp")
    if first in LIBRARIES:
        return first
    names = [module_name(d) for d in MODULE_DIRS if header.startswith(module_name(d) + "/")]
    if names:
        return max(names, key=len)
    return own if (ROOT / "lib" / own / header).exists() or (ROOT / own / header).exists() else None


def strip_comments(text):
    """Comments and string literals blanked, line structure kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)
    return pattern.sub(lambda m: m[0] if m[0].startswith('"') and "\n" not in m[0] else re.sub(r"[^\n]", " ", m[0]), text)


def read_edges(text):
    edges = set()
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words:
            source, target = words
            edges.add((source, target))
    return edges


def check_file(path, text, edges):
    """Violations in one file (path relative to the root) as "path:line: why"."""
    own = module_of(path)
    pure = own.startswith("core/")
    for number, line in enumerate(strip_comments(text).splitlines(), 1):
        where = f"{path}:{number}: "
        include = INCLUDE.match(line)
        if include:
            header = include[2]
            target = target_of(header, own)
            if target is not None and target != own and (own, target) not in edges:
                yield where + f"{own} must not include {target} ({header})"
            if pure and target is None and (header in IMPURE_HEADERS or "/" in header or header.endswith(".h")):
                yield where + f"the core must not include <{header}>"
        elif pure and IMPURE_TEXT.search(line):
            yield where + f"not in the core: {IMPURE_TEXT.search(line)[0].strip()}"


def check_tree(edges):
    for directory in MODULE_DIRS:
        for path in sorted((ROOT / directory).rglob("*")):
            relative = path.relative_to(ROOT).as_posix()
            if path.suffix in (".h", ".cpp") and module_of(relative) == module_name(directory):
                yield from check_file(relative, path.read_text(), edges)


def self_test(edges):
    bad = {
        "lib/core/ordering/a.cpp": '#include "core/membership/membership.h"',
        "lib/core/model/b.h": "#include <asio.hpp>",
        "lib/core/model/c.h": "#include <unordered_map>",
        "lib/core/node/d.cpp": "auto t = std::chrono::steady_clock::now();",
        "lib/core/groups/e.cpp": "#include <sys/socket.h>",
        "lib/base/f.h": '#include "core/model/types.h"',
        "lib/client/g.cpp": '#include "engine/engine.h"',
        "lib/wire/h.cpp": "#include <vsync/control/v1/control.pb.h>",
    }
    good = {
        "lib/core/node/a.cpp": '#include "core/ordering/ordering.h"\n#include <vector>\n// steady_clock::now() in a comment',
        "lib/io/b.cpp": '#include <asio.hpp>\n#include <sys/socket.h>\n#include "wire/framing.h"',
    }
    missed = [p for p, text in bad.items() if not list(check_file(p, text, edges))]
    wrong = [w for p, text in good.items() for w in check_file(p, text, edges)]
    return [f"self-test: not found in {p}" for p in missed] + [f"self-test: wrongly refused: {w}" for w in wrong]


def main():
    edges = read_edges((ROOT / "tests/tidy/layers.txt").read_text())
    violations = self_test(edges) if "--self-test" in sys.argv else list(check_tree(edges))
    print("\n".join(violations) if violations else "layers: ok")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
