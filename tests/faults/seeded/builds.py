"""A sound town, and five ways to break it: a few replaced lines of its source, and the faults that show each."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

KIT = "shared/src/town_kit"
NOTIFICATIONS = "services/notifications"
COPIED = ("shared", "gateway", "services", "deploy", "contracts", "tests", "pyproject.toml")
NOT_COPIED = shutil.ignore_patterns("__pycache__", ".*", "node_modules", "target")


@dataclass(frozen=True)
class Edit:
    """Lines that are replaced: ``old`` stands exactly once in the file."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Build:
    """A town with one mistake, or with none.

    Attributes:
        name: short.
        mistake: what is wrong with it, in words.
        edits: what makes it so.
        faults: those of ``make faults`` that reveal it; none where load alone does.
        rate: operations a second.
        seconds: of load after the faults.
    """

    name: str
    mistake: str
    edits: Sequence[Edit]
    faults: Sequence[str] = ()
    rate: float = 28.0
    seconds: float = 3.0


class Stale(Exception):
    """An edit no longer fits the source."""


def applied(source: str, edit: Edit) -> str:
    """The text of a file with an edit made.

    Raises:
        Stale: what it replaces does not stand there exactly once.
    """
    if source.count(edit.old) != 1:
        raise Stale(f"{edit.path}: {edit.old.strip().splitlines()[0]!r} stands there {source.count(edit.old)} times")
    return source.replace(edit.old, edit.new)


def make(build: Build, root: Path, folder: Path) -> None:
    """A copy of the source tree at ``root`` in ``folder``, with the mistake made there."""
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=NOT_COPIED)
        else:
            shutil.copy(root / name, folder / name)
    for edit in build.edits:
        file = folder / edit.path
        file.write_text(applied(file.read_text(encoding="utf-8"), edit), encoding="utf-8")


SOUND = Build(
    "sound",
    "nothing is wrong with it",
    (),
    ("before-commit", "F5", "after-effect-before-commit", "after-poll-before-tx"),
    rate=60.0,
    seconds=15.0,
)
WATERMARK = Build(
    "watermark",
    "the relay asks for what comes after the last event it has sent",
    (
        Edit(
            f"{KIT}/messaging/relay.py",
            "FROM outbox WHERE published_at IS NULL ORDER BY seq LIMIT $1",
            "FROM outbox WHERE seq > coalesce((SELECT max(seq) FROM outbox WHERE published_at IS NOT NULL), 0)\n"
            "ORDER BY seq LIMIT $1",
        ),
    ),
    rate=60.0,
    seconds=15.0,
)
EARLY_ANSWER = Build(
    "early-answer",
    "the answer leaves before the commit",
    (
        Edit(f"{KIT}/routing.py", 'Depends(_immediate, scope="function")', 'Depends(_immediate, scope="request")'),
        Edit(f"{KIT}/routing.py", 'Depends(_deferred, scope="function")', 'Depends(_deferred, scope="request")'),
    ),
    ("before-commit",),
)
UNFLUSHED = Build(
    "unflushed",
    "a commit does not wait for the disk (synchronous_commit = off)",
    (
        Edit(
            f"{KIT}/db/server.py",
            '{"fsync": "on", "synchronous_commit": "on",',
            '{"fsync": "on", "synchronous_commit": "off",',
        ),
        Edit(f"{KIT}/db/engine.py", '("fsync", "synchronous_commit", "full_page_writes")', '("fsync",)'),
    ),
    ("F5",),
    rate=60.0,
)
LATE_CURSOR = Build(
    "late-cursor",
    "the cursor that knows repeats moves in a transaction after the effect's",
    (
        Edit(
            f"{KIT}/messaging/consumer.py",
            "            buried = await inbox.save()\n"
            '            failpoint("after-effect-before-commit", self.consumer.name)\n',
            '        failpoint("after-effect-before-commit", self.consumer.name)\n'
            '        async with self.database.begin(role="service") as session:\n'
            "            inbox.driver = await driver_of(session)\n"
            "            buried = await inbox.save()\n",
        ),
        # Notifications would notice a repeat once more by themselves.
        Edit(
            f"{NOTIFICATIONS}/src/town_notifications/messages/consumers.py",
            "    if await repository.is_told(session, event.id, [t.id_for(p.person_id) for p, t in notices]):\n"
            "        return\n",
            "",
        ),
        Edit(
            f"{NOTIFICATIONS}/src/town_notifications/messages/service.py",
            "id=notice.id_for(reach.person_id)",
            "id=new_id()",
        ),
        Edit(
            f"{NOTIFICATIONS}/migrations/versions/0002_messages.py",
            "         UNIQUE (source_event_id, recipient_key),\n",
            "",
        ),
    ),
    ("after-effect-before-commit",),
)
EARLY_OFFSET = Build(
    "early-offset",
    "the offset is committed when a batch was read, not when it was done",
    (
        Edit(
            f"{KIT}/messaging/consumer.py",
            '        failpoint("after-poll-before-tx", processing.consumer.name)\n',
            "        await reader.commit({(m.topic, m.partition): m.offset + 1 for m in messages})\n"
            '        failpoint("after-poll-before-tx", processing.consumer.name)\n',
        ),
    ),
    ("after-poll-before-tx",),
)
BUILDS = (WATERMARK, EARLY_ANSWER, UNFLUSHED, LATE_CURSOR, EARLY_OFFSET)
