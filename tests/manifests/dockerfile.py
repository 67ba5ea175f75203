"""Rules for a Dockerfile, read without an engine: a line for each breach."""

import re
from collections.abc import Callable, Mapping

Instruction = tuple[str, str]

BUILDS = re.compile(
    r"\b(apt-get|apk|dnf|yum|gcc|g\+\+|make|cmake|cargo|git|curl|wget|build-essential)\b"
    r"|\b(pip|uv) (install|pip|sync)\b"
)


def stages(text: str) -> list[list[Instruction]]:
    """The stages, each a list of (instruction, rest), with what stands before the first FROM as stage 0."""
    joined = re.sub(r"\\\n(\s*#.*\n)*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    found: list[list[Instruction]] = [[]]
    for line in filter(None, (line.strip() for line in joined.splitlines())):
        word, _, rest = line.partition(" ")
        if word.upper() == "FROM":
            found.append([])
        found[-1].append((word.upper(), rest.strip()))
    return found


def bases_are_pinned(text: str) -> list[str]:
    """Each FROM names a version down to its last part, or a digest, or an earlier stage."""
    before, *rest = stages(text)
    given = dict(value.partition("=")[::2] for word, value in before if word == "ARG")
    earlier: set[str] = set()
    found = []
    for stage in rest:
        parts = re.sub(r"\$\{(\w+)\}", lambda match: given.get(match[1], ""), stage[0][1]).split()
        if parts[0] not in earlier and not re.search(r":\d+\.\d+\.\d+|@sha256:[0-9a-f]{64}$", parts[0]):
            found.append(stage[0][1])
        earlier |= {parts[2]} if len(parts) == 3 else set()
    return found


def the_last_stage_is_nobodys(text: str) -> list[str]:
    """It ends as a user with a number other than 0: Kubernetes cannot tell whether a name is root."""
    users = [rest for word, rest in stages(text)[-1] if word == "USER"]
    return [] if users and re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", users[-1]) else [str(users)]


def the_last_stage_builds_nothing(text: str) -> list[str]:
    """It is another stage than the one that builds, installs nothing, and takes finished folders only."""
    *_, last = every = stages(text)
    alone = [] if len(every) > 2 else ["there is one stage only"]
    return alone + [rest for word, rest in last if word == "RUN" and BUILDS.search(rest)]


def what_is_installed_is_locked(text: str) -> list[str]:
    """Every installation checks hashes against the lock."""
    runs = [rest for stage in stages(text) for word, rest in stage if word == "RUN"]
    commands = [part for run in runs for part in re.split(r"&&|;", run) if re.search(r"\bpip install\b", part)]
    locked = re.compile(r"--require-hashes|--verify-hashes .*--constraints requirements\.lock")
    return [command.strip() for command in commands if not locked.search(command)]


def what_is_built_in_is_listed(text: str) -> list[str]:
    """The stage that builds lists its libraries (SBOM) after the last installation; it ends as /town/sbom.json."""
    *_, last = every = stages(text)
    copied = {
        rest.split()[-2]
        for word, rest in last
        if word == "COPY" and rest.startswith("--from=") and rest.split()[-1] == "/town/sbom.json"
    }
    for stage in every[:-1]:
        runs = [rest for word, rest in stage if word == "RUN"]
        wrote = [
            (place, match[1])
            for place, run in enumerate(runs)
            if (match := re.search(r"cyclonedx-py environment .*--output-file (\S+) /opt/venv/bin/python", run))
        ]
        installed = [place for place, run in enumerate(runs) if "VIRTUAL_ENV=/opt/venv " in run]
        if any(path in copied and place >= max(installed, default=0) for place, path in wrote):
            return []
    return ["no list of what is built in reaches /town/sbom.json"]


def nothing_secret_is_built_in(text: str) -> list[str]:
    """No secret in an argument or a variable: both stay readable in the image."""
    named = re.compile(r"PASSWORD|SECRET|TOKEN|PRIVATE|_KEY\b")
    return [rest for stage in stages(text) for word, rest in stage if word in {"ARG", "ENV"} and named.search(rest)]


RULES: Mapping[str, Callable[[str], list[str]]] = {
    rule.__name__: rule
    for rule in (
        bases_are_pinned,
        the_last_stage_is_nobodys,
        the_last_stage_builds_nothing,
        what_is_installed_is_locked,
        what_is_built_in_is_listed,
        nothing_secret_is_built_in,
    )
}
