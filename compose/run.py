#!/usr/bin/env python3
"""Plays the failure scenarios in containers and judges them (`./dev compose [CASE...]`, `./dev compose --list`).

Needs a container engine and root: links are cut in the containers' network namespaces. Exit status 0 only if every case passed.
"""

import argparse
import concurrent.futures
import subprocess
import sys
import time
from pathlib import Path

# The cases register themselves, in this order.
import judge.membership
import judge.group
import judge.faults
from judge.case import CASES, play

AT_ONCE = 5  # cases mostly wait


def timed(definition, image, keep):
    since = time.monotonic()
    passed, expectations, logs = play(definition, image, keep)
    return definition, passed, expectations, logs, time.monotonic() - since


def report(definition, passed, expectations, logs, seconds):
    print(f"\n{'pass' if passed else 'FAIL'}  {definition.name}: {definition.title} ({seconds:.0f} s)")
    for one in expectations:
        seen = "just that" if one.seen in one.wanted and "\n" in one.seen else one.seen
        print(f"  {'ok ' if one.held else 'NOT'} expected  {one.wanted}\n      seen      {seen}")
    if logs:
        print(f"  the logs are in {logs}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description="Failure scenarios in containers.")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("--keep", action="store_true", help="keep the logs of cases that pass, too")
    parser.add_argument("--jobs", type=int, default=AT_ONCE, help="cases at a time (default %(default)s)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.cases if name not in CASES]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; there are: {', '.join(CASES)}")
    if arguments.list:
        for definition in CASES.values():
            print(f"{definition.name:<20} {definition.title}")
        return 0
    wanted = [CASES[name] for name in arguments.cases or CASES]
    since = time.monotonic()
    image = subprocess.run([Path(__file__).with_name("image.sh")], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    print(f"image {image[:19]}, {time.monotonic() - since:.0f} s; {len(wanted)} cases, {arguments.jobs} at a time", flush=True)
    failed = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        playing = [pool.submit(timed, definition, image, arguments.keep) for definition in wanted]
        try:
            for done in concurrent.futures.as_completed(playing):
                report(*done.result())
                if not done.result()[1]:
                    failed.append(done.result()[0].name)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)  # those that play are still cleared away
            raise
    print(f"\n{len(wanted) - len(failed)} of {len(wanted)} cases passed in {time.monotonic() - since:.0f} s"
          + (f"; failed: {' '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
