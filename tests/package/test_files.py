"""What is shipped beside the programs says what the programs do: sample configuration, manual pages, completion, changelog.

Usage: test_files.py (VSYNC_BUILD names the build). Needs groff, bash and zsh.
"""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from support.cluster import VSYNCCTL, VSYNCD, Cluster

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
MANUALS = sorted((PACKAGING / "man").iterdir())


def output(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, **options)
    if done.returncode:
        raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def effective(*flags, text=""):
    """What vsyncd would use: setting -> value as in a configuration file, None where there is none."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VSYNCD_")}
        lines = output(VSYNCD, "--config", file.name, "--check-config", *flags, env=environment).splitlines()
    settings = {}
    for line in lines:
        unset, name, value = re.fullmatch(r"(# )?([a-z-]+) = (.*)", line).groups()
        settings[name] = None if unset else value
    return settings


def flags_of(*program):
    return set(re.findall(r"^ +(?:-[a-z],)?(--[a-z][a-z-]+)", output(*program, "--help"), re.M))


def commands():
    return set(re.findall(r"^  ([a-z][a-z-]+) ", output(VSYNCCTL, "--help").partition("Subcommands:")[2], re.M))


def items(page, macro):
    """First words of the list entries of a manual page that begin with this macro."""
    return re.findall(rf"^\.It {macro} (\S+)", (PACKAGING / "man" / page).read_text(), re.M)


def words(value):
    """The values in a line of a configuration file, whatever the quotes and brackets."""
    return re.findall(r"[^\s\[\]\",]+", value or "")


class SampleConfiguration(unittest.TestCase):
    """packaging/vsyncd.toml"""

    text = (PACKAGING / "vsyncd.toml").read_text()
    lines = re.findall(r"^# ([a-z-]+) = (.*)$", text, re.M)

    def test_as_it_is_it_changes_nothing(self):
        self.assertEqual(effective(text=self.text), effective())

    def test_every_setting_once(self):
        self.assertEqual(sorted(name for name, _ in self.lines), sorted(effective()))

    def test_shows_the_defaults(self):
        for name, default in effective().items():
            if default is not None and name != "name" and words(default):
                self.assertEqual(words(dict(self.lines)[name]), words(default), name)

    def test_every_line_is_accepted(self):
        with tempfile.TemporaryDirectory() as directory:
            hosts = Path(directory) / "hosts"
            hosts.write_text("localhost\nother\n")
            for name, value in self.lines:
                with self.subTest(name):
                    if name == "hosts":
                        value = f'"{hosts}"'
                    flags = {"voter": ["--quorum", "static"], "crash-in-change": ["--hosts", hosts]}.get(name, [])
                    flags += ["--id", "1"] if "hosts" in (name, *map(str, flags)) or name == "crash-in-change" else []
                    self.assertEqual(words(effective(*flags, text=f"{name} = {value}\n")[name]), words(value))

    def test_every_setting_is_explained(self):
        for name, _ in self.lines:
            self.assertRegex(self.text, rf"\n# .*[.)]\n# {name} = ")


class Manuals(unittest.TestCase):
    def test_no_warnings(self):
        for page in MANUALS:
            done = subprocess.run(["groff", "-mandoc", "-Tutf8", "-ww", "-z", page], capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""), page.name)

    def test_references_lead_somewhere(self):
        known = {tuple(page.name.rsplit(".", 1)) for page in MANUALS}
        for page in MANUALS:
            for reference in re.findall(r"^\.Xr (\S+) (\d)", page.read_text(), re.M):
                self.assertIn(reference, known, page.name)

    def test_settings(self):
        """vsyncd.toml(5) has every setting, with its default."""
        settings = effective()
        self.assertEqual(sorted(items("vsyncd.toml.5", "Ic")), sorted(settings))
        page = (PACKAGING / "man/vsyncd.toml.5").read_text()
        for entry in re.split(r"^\.It Ic ", page, flags=re.M)[1:]:
            name = entry.split()[0]
            if settings[name] and words(settings[name]) and name != "name":
                self.assertRegex(entry, rf"Default:\n\.(Li|Pa) {re.escape(' '.join(words(settings[name])))}(\s|$)", name)
            else:
                self.assertRegex(entry, r"Default: \w+", name)

    def test_flags_of_vsyncd(self):
        """vsyncd(8) has every flag that is not a setting."""
        flags = {"--" + flag.removeprefix("-") for flag in items("vsyncd.8", "Fl")}
        self.assertEqual(flags, flags_of(VSYNCD) - {"--" + name for name in effective()})

    def test_events_in_the_journal(self):
        """vsyncd(8) has every VSYNC_EVENT."""
        sources = "".join(path.read_text() for path in sorted((ROOT / "lib/engine").glob("*.cpp")))
        page = (PACKAGING / "man/vsyncd.8").read_text()
        told = re.search(r"^\.It Sy VSYNC_EVENT\n(.*)", page, re.M)[1]
        self.assertEqual(sorted(re.split(r", | or ", told)), sorted(set(re.findall(r'log\(Subsystem::\w+, "(\w+)"', sources))))

    def test_commands_of_vsyncctl(self):
        self.assertEqual(sorted(items("vsyncctl.1", "Ic")), sorted(commands()))
        self.assertEqual({"-" + flag for flag in items("vsyncctl.1", "Fl")}, flags_of(VSYNCCTL))
        page = (PACKAGING / "man/vsyncctl.1").read_text()
        for command in sorted(commands()):
            for flag in sorted(flags_of(VSYNCCTL, command) - flags_of(VSYNCCTL)):
                self.assertIn(f"Fl {flag[1:]}", page, command)

    def test_calls_of_libvsync(self):
        header = (ROOT / "lib/client/include/vsync/client.h").read_text()
        bodies = re.findall(r"class VSYNC_API (?:Client|Handler) \{(.*?)\n(?: private:|\};)", header, re.S)
        self.assertEqual(len(bodies), 2)
        declared = {name for body in bodies for name in re.findall(r"^  [^/\n(]*?\b([a-z_]+)\(", body, re.M)}
        self.assertEqual(sorted(set(items("libvsync.3", "Fn"))), sorted(declared - {"operator"}))


class Completion(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(prefix="vsync-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.path = f"{VSYNCD.parent}:{VSYNCCTL.parent}:{os.environ['PATH']}"

    def bash(self, *line):
        """What bash offers for the last word."""
        script = (f". {PACKAGING}/completion/{line[0]}.bash; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _{line[0]}; "
                  "printf '%s\\n' \"${COMPREPLY[@]}\"")
        return sorted(output("bash", "-euc", script, "bash", *line, env={"PATH": self.path}).split())

    def zsh(self, *line):
        """What zsh offers, by the function alone: those that would show it print it instead. zsh itself drops what does not fit."""
        script = ("compadd() { print -l -- ${@:#--} }; _describe() { print -l -- ${${(P)2}%%:*} }; _files() { print FILES }; "
                  "_default() { print DEFAULT }; words=(\"$@\"); CURRENT=$#; "
                  f"complete() {{ {(PACKAGING / f'completion/_{line[0]}').read_text()}\n }}; complete")
        found = output("zsh", "-fc", script, "zsh", *line, env={"PATH": self.path}).split()
        return sorted(word for word in found if word.startswith(line[-1]))

    def check(self, line, expected):
        for shell in (self.bash, self.zsh):
            self.assertEqual(shell(*line), sorted(expected), (shell.__name__, line))

    def test_flags(self):
        self.check(("vsyncd", "--"), flags_of(VSYNCD))
        self.check(("vsyncd", "--quor"), ["--quorum"])
        self.check(("vsyncctl", "--"), flags_of(VSYNCCTL))
        self.check(("vsyncctl", "send", "--se"), ["--service"])

    def test_values(self):
        self.check(("vsyncd", "--quorum", "dyn"), ["dynamic"])
        self.check(("vsyncd", "--cold-start", ""), ["wait-all", "quorum", "manual"])
        self.check(("vsyncctl", "send", "chat", "--service", "c"), ["causal"])
        self.check(("vsyncctl", "log-level", "de"), ["debug"])
        self.check(("vsyncctl", "log-level", "debug", "trans"), ["transport"])

    def test_words_are_those_that_are_accepted(self):
        for flag in ("--quorum", "--cold-start", "--event-log-format", "--log-level"):
            offered = self.bash("vsyncd", flag, "")
            self.assertEqual(offered, self.zsh("vsyncd", flag, ""))
            for word in offered:
                effective(flag, word)
            refused = subprocess.run([VSYNCD, "--check-config", flag, "none-of-them"], capture_output=True, text=True, timeout=60)
            told = re.split(r"is (?:none of|no log level:) ", refused.stderr)[-1]
            self.assertEqual(offered, sorted(re.findall(r"[a-z-]+", told.replace(" or ", " "))), flag)

    def test_commands(self):
        self.check(("vsyncctl", ""), commands())
        self.check(("vsyncctl", "--json", "le"), ["leader", "leave"])

    def test_what_the_daemon_knows(self):
        with Cluster(1) as cluster:
            cluster.connect(1).join("chat-room")
            for command in ("listen", "send", "group"):
                self.check(("vsyncctl", "--socket", str(cluster[1].socket), command, "ch"), ["chat-room"])
            self.check(("vsyncctl", "--socket", str(cluster[1].socket), "evict", ""), ["n1"])


class Versions(unittest.TestCase):
    def test_changelogs(self):
        version = re.search(r"^project\(vsyncd VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(), re.M)[1]
        newest = (PACKAGING / "debian/changelog").read_text().splitlines()[0]
        self.assertTrue(newest.startswith(f"vsyncd ({version}-1) "), newest)


if __name__ == "__main__":
    unittest.main()
