#!/usr/bin/env python3
"""The Debian packages on machines with systemd: installed, run, hurt, upgraded, removed.

Usage: story.py PACKAGES [BUILDER]: builds the packages (compose/Dockerfile) and leaves them in the directory PACKAGES; or takes
those that are there, with an image that has a compiler for the applications that use them. Needs a container engine (./dev engine)
and vsync_check (VSYNC_BUILD). Each step prints what it saw.
"""

import re
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from package.machine import UNIT, Machines, docker, ensure_systemd_hierarchy, wait_view
from support.cluster import VSYNC_CHECK
from support.waiting import wait_until

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NODE_IMAGE = "vsync-package-machine"
CONFIG, HOSTS, EVENTS = "/etc/vsyncd/vsyncd.toml", "/etc/vsyncd/hosts", "/var/lib/vsyncd/events.json"
# systemd-analyze security, in tenths. What is missing to 0 is the network, which is what the daemon is for.
MOST_EXPOSED = 15


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def readme(words):
    """The commands of the README in whose block these words are."""
    blocks = re.findall(r"^```\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    return next(block for block in blocks if words in block)


def raised_version(packages, to):
    """The same packages under a higher version, as an upgrade would bring them."""
    to.mkdir()
    for package in packages.glob("*.deb"):
        tree = to / "tree"
        subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
        control = tree / "DEBIAN/control"
        old = re.search(r"^Version: (.*)$", control.read_text(), re.M)[1]
        control.write_text(control.read_text().replace(old, f"{old}+upgrade1"))
        name = package.name.replace(old, f"{old}+upgrade1")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, to / name], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(tree)
    return to


class Story:
    """The steps, in order; each starts from a cluster of all three and leaves it so."""

    def __init__(self, machines, packages, builder, work):
        self.alpha, self.beta, self.gamma = self.nodes = machines
        self.packages, self.builder, self.work = packages, builder, work

    def run(self):
        for step in (self.install, self.sandbox, self.waits_alone, self.three_nodes, self.access, self.journal, self.reload,
                     self.killed, self.frozen, self.stopped, self.wrong_settings, self.socket_activation, self.application,
                     self.upgrade, self.event_logs, self.remove, self.purge):
            seen = step()
            print(f"package: {step.__doc__.splitlines()[0]} {seen or ''}".rstrip(), flush=True)

    def each(self, action, nodes=None):
        with ThreadPoolExecutor() as pool:
            return list(pool.map(action, nodes or self.nodes))

    def view(self):
        return wait_view(self.nodes)

    # ---- installation

    def install(self):
        """apt installs vsyncd on three machines; it is enabled and runs as a user of its own."""
        self.each(lambda node: node.apt("install /packages/vsyncd_*.deb"))
        for node in self.nodes:
            wait_until("it runs", node.active)
            expect(node.sh(f"systemctl is-enabled {UNIT}").stdout.strip() == "enabled", "it is enabled")
            expect(node.sh(f"stat -c %U /proc/{node.pid()}").stdout.strip() == "vsyncd", "it runs as vsyncd")
            modes = node.sh("stat -c '%A %U:%G' /run/vsyncd/vsyncd.sock /var/lib/vsyncd").stdout.splitlines()
            expect(modes == ["srw-rw---- vsyncd:vsyncd", "drwx------ vsyncd:vsyncd"], f"modes: {modes}")

    def sandbox(self):
        """systemd finds no fault with the units, and little to attack:"""
        verified = self.alpha.sh("systemd-analyze verify --man=no vsyncd.service vsyncd.socket 2>&1").stdout
        expect("vsyncd" not in verified, verified)
        analysed = self.alpha.sh(f"systemd-analyze security --no-pager --threshold={MOST_EXPOSED} {UNIT}.service", check=False)
        expect(analysed.returncode == 0, analysed.stdout + analysed.stderr)
        return re.search(r"exposure level.*: ([\d.]+)", analysed.stdout)[1]

    def waits_alone(self):
        """As installed it founds no cluster; systemctl and vsyncctl say so."""
        for node in self.nodes:
            expect(node.status()["state"] != "member", "it is a member already")
            expect("no cluster" in node.show("StatusText"), node.show("StatusText"))

    def three_nodes(self):
        """The commands of the README make a cluster of three:"""
        commands = readme("| sudo tee " + HOSTS).replace("sudo ", "")
        self.each(lambda node: node.sh(f"echo 'event-log = \"{EVENTS}\"' >> {CONFIG}"))
        self.each(lambda node: node.sh(commands))
        number, names = self.view()
        for node in self.nodes:
            wait_until("STATUS= tells the view, the leader and the quorum",
                       lambda: node.show("StatusText").startswith(f"view {number} <") and
                       ", leader alpha, quorum, survives 1 more" in node.show("StatusText"))
        return f"view {number} of {', '.join(names)}"

    def access(self):
        """The group vsyncd may look, and may not steer; others may do nothing."""
        self.alpha.sh("useradd -G vsyncd app && useradd stranger")
        expect(self.alpha.sh("vsyncctl leader", user="app").returncode == 0, "app may look")
        expect(self.alpha.sh("vsyncctl log-level debug", user="app", check=False).returncode == 1, "app may not steer")
        expect(self.alpha.sh("vsyncctl leader", user="stranger", check=False).returncode == 3, "a stranger may do nothing")

    def journal(self):
        """The journal has entries with view, member and event."""
        number, _ = self.view()
        for node in self.nodes:
            entries = node.journal(VSYNC_EVENT="install", VSYNC_VIEW=number)
            expect(len(entries) == 1, f"entries for the installation of view {number}: {entries}")
            expect(entries[0]["VSYNC_MEMBER"].startswith("1."), "the leader is node 1")
            expect(entries[0]["SYSLOG_IDENTIFIER"] == UNIT and entries[0]["PRIORITY"] == "6", str(entries[0]))
            expect(int(entries[0]["_PID"]) == node.pid(), "it is of this daemon")

    # ---- operation

    def reload(self):
        """systemctl reload applies what can be, refuses wrong settings, and the daemon runs on."""
        pid = self.alpha.pid()
        self.alpha.sh(f"cp {CONFIG} /tmp/good && echo 'log-level = \"detector=debug\"' >> {CONFIG} && systemctl reload {UNIT}")
        wait_until("it tells", lambda: any("reloaded: 1 settings applied" in e["MESSAGE"] for e in self.alpha.journal()))
        self.alpha.sh(f"echo 'no-such-setting = 1' >> {CONFIG}")
        expect(self.alpha.sh(f"systemctl reload {UNIT}", check=False).returncode != 0, "wrong settings are refused")
        self.alpha.sh(f"cp /tmp/good {CONFIG} && systemctl reload {UNIT}")
        expect(self.alpha.active() and self.alpha.pid() == pid, "the same daemon runs")

    def killed(self):
        """A daemon that is killed is started again by systemd and joins:"""
        return self.comes_back(self.beta, signal.SIGKILL, "signal")

    def frozen(self):
        """A daemon that hangs is killed by systemd's watchdog, started again, and joins:"""
        return self.comes_back(self.gamma, signal.SIGSTOP, "watchdog")

    def comes_back(self, node, blow, reason):
        number, _ = self.view()
        pid, restarts = node.pid(), int(node.show("NRestarts"))
        node.sh(f"kill -{int(blow)} {pid}")
        wait_until("systemd starts it again", lambda: int(node.show("NRestarts")) == restarts + 1 and node.active())
        said = node.sh(f"journalctl -q -u {UNIT} UNIT={UNIT}.service + _PID=1 UNIT={UNIT}.service").stdout
        expect(f"Failed with result '{reason}'" in said, said)
        expect(node.pid() != pid, "it is another process")
        after, _ = wait_until("a later view of all", lambda: (lambda v: v if v[0] > number else None)(self.view()))
        return f"view {number}, then {after}"

    def stopped(self):
        """A daemon that is stopped leaves cleanly, and is not started again:"""
        number, _ = self.view()
        self.beta.sh(f"systemctl stop {UNIT}")
        expect(self.beta.show("Result") == "success" and self.beta.show("ActiveState") == "inactive", "it ended well")
        expect(self.beta.journal(VSYNC_EVENT="left"), "it said that it left")
        after, _ = wait_view([self.alpha, self.gamma])
        entries = self.alpha.journal(VSYNC_EVENT="install", VSYNC_VIEW=after)
        expect("(leave)" in entries[0]["MESSAGE"] or "(left)" in entries[0]["MESSAGE"], entries[0]["MESSAGE"])
        expect(after == number + 1, f"one change, not {after - number}")
        self.beta.sh(f"systemctl start {UNIT}")
        return f"view {number}, then {after}, then {self.view()[0]}"

    def wrong_settings(self):
        """Wrong settings keep it from starting; systemd does not try again."""
        self.beta.sh(f"systemctl stop {UNIT} && cp {CONFIG} /tmp/good && echo 'quorum = \"maybe\"' >> {CONFIG}")
        expect(self.beta.sh(f"systemctl start {UNIT}", check=False).returncode != 0, "it does not start")
        expect(self.beta.show("ActiveState") == "failed" and self.beta.show("ExecMainStatus") == "2", "for its settings")
        expect(self.beta.show("NRestarts") == "0", "nobody tries again")
        told = self.beta.journal(PRIORITY=3)
        expect(any(f"{CONFIG}: line" in entry["MESSAGE"] and "maybe" in entry["MESSAGE"] for entry in told), f"it tells: {told}")
        self.beta.sh(f"cp /tmp/good {CONFIG} && systemctl start {UNIT}")
        self.view()

    def socket_activation(self):
        """With vsyncd.socket an application that connects starts the daemon, and waits for it."""
        node = self.gamma
        node.sh(f"systemctl stop {UNIT} && systemctl enable --now {UNIT}.socket")
        inode = node.sh("stat -c %i /run/vsyncd/vsyncd.sock").stdout
        expect(not node.active(), "nobody has connected yet")
        expect(node.status(), "the daemon answers the first who connects")
        expect(node.active(), "it was started for it")
        self.view()
        node.sh(f"systemctl restart {UNIT}")
        self.view()
        modes = node.sh("stat -c '%i\n%A %U:%G' /run/vsyncd/vsyncd.sock").stdout
        expect(modes == f"{inode}srw-rw---- vsyncd:vsyncd\n", f"it is still systemd's socket: {modes}")
        node.sh(f"systemctl stop {UNIT} && systemctl disable --now {UNIT}.socket && systemctl start {UNIT}")
        self.view()

    # ---- applications

    def application(self):
        """Applications built with pkg-config and CMake against libvsync-dev join a group and multicast."""
        programs = build_applications(self.packages, self.builder, self.work)
        self.each(lambda node: node.apt("install /packages/libvsync0_*.deb"))
        running = []
        for node, program in zip(self.nodes, programs):
            docker("cp", program, f"{node.container}:/usr/local/bin/hello")
            node.sh("id app >/dev/null 2>&1 || useradd -G vsyncd app")
            running.append(node.start(["hello", f"{program.name}@{node.name}"], user="app"))

        def group():
            found = [g for g in self.alpha.status().get("groups", []) if g["group"] == "hello"]
            return found and len(found[0]["members"]) == len(programs)

        wait_until("all three are in the group", group)
        self.alpha.sh("seq 10 | vsyncctl send hello")
        outputs = [process.communicate(timeout=60)[0] for process in running]
        for process, output in zip(running, outputs):
            expect(process.returncode == 0 and "\ndelivered\n" in output, output)
        orders = [[line for line in output.splitlines() if re.fullmatch(r": \d+", line)] for output in outputs]
        # Each ends with the tenth message: those that came before these differ by when it joined.
        shortest = min(map(len, orders))
        expect(shortest > 0 and len({tuple(order[:shortest]) for order in orders}) == 1, f"one order: {outputs}")
        return ", ".join(program.name for program in programs)

    # ---- upgrade and removal

    def upgrade(self):
        """An upgrade restarts a running daemon, leaves a stopped one stopped, and keeps settings and identity:"""
        number, _ = self.view()
        pids = [node.pid() for node in self.nodes]
        ids = [node.status()["node"] for node in self.nodes]
        config = self.alpha.sh(f"cat {CONFIG}").stdout
        self.gamma.sh(f"systemctl stop {UNIT}")
        new = raised_version(self.packages, self.work / "upgrade")
        for node in self.nodes:
            docker("cp", new, f"{node.container}:/upgrade")
            node.apt("install /upgrade/vsyncd_*.deb /upgrade/libvsync0_*.deb")
            expect("+upgrade1" in node.sh("dpkg-query -W vsyncd").stdout, "the version")
            wait_view([n for n in self.nodes if n is not self.gamma])
        expect(not self.gamma.active(), "the stopped one is stopped")
        self.gamma.sh(f"systemctl start {UNIT}")
        after, _ = self.view()
        expect(not set(pids) & {node.pid() for node in self.nodes}, "all are new processes")
        expect([node.status()["node"] for node in self.nodes] == ids, "the same nodes")
        expect(self.alpha.sh(f"cat {CONFIG}").stdout == config, "the settings are kept")
        return f"view {number}, then {after}"

    def event_logs(self):
        """The event logs of all nodes prove that the cluster kept its promises:"""
        logs = [self.work / f"{node.name}.json" for node in self.nodes]
        for node, log in zip(self.nodes, logs):
            node.fetch(EVENTS, log)
        done = subprocess.run([VSYNC_CHECK, *logs], capture_output=True, text=True, timeout=300)
        expect(done.returncode == 0, done.stdout + done.stderr)
        return (done.stdout.strip().splitlines() or [""])[-1]

    def remove(self):
        """Removing the package leaves the cluster cleanly, and keeps settings and state."""
        number, _ = self.view()
        self.gamma.apt("remove vsyncd")
        after, _ = wait_view([self.alpha, self.beta])
        expect(after == number + 1, f"one change, not {after - number}")
        self.gamma.sh(f"test -s {CONFIG} && test -s {HOSTS} && test -s /var/lib/vsyncd/identity")
        expect(self.gamma.show("LoadState") == "not-found", "the unit is gone")
        expect(self.gamma.sh("ls /run/vsyncd/vsyncd.sock", check=False).returncode != 0, "the socket is gone")
        self.gamma.apt("install /packages/vsyncd_*.deb")
        self.view()

    def purge(self):
        """Purging it removes all that it had, however often; the scripts may run twice."""
        self.gamma.sh("/var/lib/dpkg/info/vsyncd.postinst configure")
        self.view()
        self.gamma.sh(f"systemctl enable {UNIT}.socket")
        self.gamma.apt("purge vsyncd libvsync0")
        left = self.gamma.sh("ls -d /etc/vsyncd /var/lib/vsyncd /run/vsyncd /etc/systemd/system/*/vsyncd* "
                             "/var/lib/systemd/deb-systemd-helper-enabled/*vsyncd* 2>/dev/null", check=False).stdout
        expect(left == "", f"left behind: {left}")
        expect(self.gamma.sh("systemctl --failed --quiet").stdout == "", "no unit has failed")
        self.gamma.apt("install /packages/vsyncd_*.deb")
        expect("no cluster" in self.gamma.show("StatusText"), "a fresh node")
        self.gamma.apt("purge vsyncd")


def build_applications(packages, builder, work):
    """The example in libvsync-dev, built in three ways with nothing of this project but the packages."""
    script = """
        set -e
        rm -f /etc/dpkg/dpkg.cfg.d/docker*  # an image of Debian may leave out documentation, and so the example
        dpkg -i /packages/libvsync0_*.deb /packages/libvsync-dev_*.deb
        mkdir /tmp/application
        cp /application/CMakeLists.txt /usr/share/doc/libvsync-dev/examples/hello_group.cpp /tmp/application
        cd /tmp/application
        c++ -std=c++20 -Wall -Werror -o /built/with-pkg-config hello_group.cpp $(pkg-config --cflags --libs libvsync)
        cmake -S . -B build && cmake --build build
        cp build/with-cmake build/with-cmake-static /built
    """
    docker("run", "--rm", "--network", "none", "-v", f"{packages}:/packages:ro", "-v", f"{HERE}/application:/application:ro",
           "-v", f"{work}:/built", builder, "sh", "-c", script)
    return [work / name for name in ("with-pkg-config", "with-cmake", "with-cmake-static")]


def run(*command):
    """Runs a program of ours, whose errors are for people; returns what it prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def built_packages(to):
    """The packages out of the image that holds them, in a directory that had none."""
    image = run(ROOT / "compose/image.sh", "debs")
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    container = docker("create", image, "none").stdout.strip()
    docker("cp", f"{container}:/packages/.", to)
    docker("rm", container)
    return to


def without_faults(packages):
    """lintian's opinion of the packages, where it is one for packages outside of the archive of Debian."""
    image = "vsync-package-lintian"
    docker("build", "--network", "host", "-q", "-t", image, "--target", "lintian", "-f", HERE / "Dockerfile", packages)
    docker("run", "--rm", "--network", "none", "-v", f"{packages}:/packages:ro", image, "sh", "-c",
           "lintian --allow-root --fail-on warning,error --suppress-tags initial-upload-closes-no-bugs /packages/*.deb")


def main():
    packages = Path(sys.argv[1]).resolve()
    builder = sys.argv[2] if len(sys.argv) > 2 else None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("package: terminated"))  # the machines are removed on the way out
    ensure_systemd_hierarchy()
    if builder is None:
        builder = run(ROOT / "compose/image.sh", "build")
        built_packages(packages)
    print("package: built", *sorted(package.name for package in packages.glob("*.deb")), flush=True)
    without_faults(packages)
    print("package: lintian has no complaints.", flush=True)
    docker("build", "--network", "host", "-q", "-t", NODE_IMAGE, "--target", "machine", "-f", HERE / "Dockerfile", packages)
    logs = packages.with_name("package-logs")
    with tempfile.TemporaryDirectory(prefix="vsync-package-") as directory, Machines(NODE_IMAGE, packages, logs) as machines:
        Story(machines.add("alpha", "beta", "gamma"), packages, builder, Path(directory)).run()
    print(f"package: everything passed; the packages are in {packages}")


if __name__ == "__main__":
    sys.exit(main())
