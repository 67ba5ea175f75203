"""Restoring a backup (控えから戻す): into a fresh place, checked as a whole, or not at all."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

from town_kit.clock import SystemClock
from town_kit.db import base_backup
from town_kit.db.migrations import head
from town_kit.db.server_files import account_for_server, data_directory
from town_onebox import secrets, vault_user
from town_onebox.place import Place
from town_onebox.recovery import before_start, keys, manifest, state
from town_onebox.recovery.backup import NotPossible, Tell
from town_onebox.recovery.examine import examine
from town_onebox.recovery.manifest import BackupUnsound, Contents, Manifest
from town_onebox.recovery.state import Restored
from town_onebox.registry import ENTRIES
from town_onebox.town import DatabaseServer


def restore(source: Path, keys_from: Path, directory: Path, tell: Tell) -> Manifest:
    """Restore the backup in ``source`` with the keys in ``keys_from`` as the town in ``directory``.

    The town does not start until it was compared with the outside (:mod:`town_onebox.recovery.reconcile`).

    Raises:
        NotPossible: there is a town already.
        BackupUnsound: backup and manifest differ, the keys are others, or what came up is not what was backed up.
        ServerError, NoServer: PostgreSQL does not start.
    """
    place = Place(directory.resolve())
    if place.secrets.exists() or place.postgres.exists():
        raise NotPossible(f"{directory} には町があります。上書きしません。新しい場所を --directory で示してください。")
    tell("1/4 控えと鍵を目録と比べています")
    backup = manifest.read(source)
    vault, _ = vault_user.account()
    data: Path | None = None
    try:
        keys.lay_out(keys_from, place, backup.vault_key, vault)
        tell("2/4 データを置いています")
        account = account_for_server()
        data = data_directory(place.postgres, account)
        base_backup.unpack(source, data, account)
        _bring_up(place, backup, tell)
    except BaseException:
        _clear(place, data)
        raise
    tell(f"戻しました: {place.directory}(控えの時点 {backup.taken_at:%F %T} UTC)")
    tell("町はまだ起動しません。次に reconcile で、外の記録と照合してください。")
    return backup


def _bring_up(place: Place, backup: Manifest, tell: Tell) -> None:
    database = DatabaseServer(place, "production")
    try:
        tell("3/4 起動し、行数・監査記録の鎖・スキーマを確かめています")
        port = database.server.port
        _compare(backup.databases, examine(port, secrets.read(place).backup_password))
        asyncio.run(before_start.stand_alone(database.server.admin_dsn))
        tell("4/4 控えのあとで使われたかもしれない番号を飛ばしています")
        here = [entry for entry in ENTRIES if entry.name in backup.databases]
        skipped = asyncio.run(before_start.leave_out(place, port, here))
        for line in skipped:
            tell(f"    {line}")
        asyncio.run(before_start.free(place, port, here, tell))
    finally:
        database.stop()
    state.write(place, Restored(backup.taken_at, SystemClock().now(), tuple(skipped)))


def _compare(wanted: Mapping[str, Contents], found: Mapping[str, Contents]) -> None:
    for name, contents in wanted.items():
        here = found.get(name)
        if here is None or (here.tables, here.audit, here.revision) != (
            contents.tables,
            contents.audit,
            contents.revision,
        ):
            raise BackupUnsound(f"戻したデータベース {name} が目録と違います(行数・監査記録・スキーマ)。")
    for entry in (entry for entry in ENTRIES if entry.name in found):  # one machine may hold one zone
        newest, revision = head(entry.migrations), found[entry.name].revision
        if newest is None or revision is None or revision > newest:
            raise BackupUnsound(f"{entry.name} のスキーマ {revision} は、この版({newest})より新しいものです。")


def _clear(place: Place, data: Path | None) -> None:
    """Leave no half of a town behind; what stood beside it stays."""
    if data is not None:
        shutil.rmtree(data.parent, ignore_errors=True)
    for path in (place.postgres, place.keys, place.vault):
        shutil.rmtree(path, ignore_errors=True)
    for path in (place.secrets, place.vault_public_key, place.clients, place.ports, place.served, place.restored):
        path.unlink(missing_ok=True)
