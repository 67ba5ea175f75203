"""As whom the vault runs, and that the town says it."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from town_onebox import vault_user


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could start the vault as another user")
def test_code_that_its_user_cannot_reach_runs_as_the_same_user_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(sys, "executable", shutil.copy(sys.executable, closed / "python"))
    monkeypatch.setattr(vault_user, "USER", "nobody")
    account, told = vault_user.account()
    assert (account.uid, "nobody cannot read" in told) == (0, True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may start the vault as another user")
def test_without_root_the_process_alone_separates_and_says_so() -> None:
    account, told = vault_user.account()
    assert (account.uid, "its process alone" in told) == (os.geteuid(), True)
