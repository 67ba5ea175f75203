"""One test authority for the whole session, and a verifier over its lists."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from town_identity.jpki import (
    PRODUCTION_ANCHORS,
    CrlFolder,
    JpkiVerifier,
    Question,
    Realm,
    Revocation,
    TrustAnchors,
    load_anchors,
    load_profile,
)
from town_kit.clock import FixedClock
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard
from town_sandbox.jpki.samples import ISSUED, NOW


@pytest.fixture(scope="session")
def authority() -> JpkiTestAuthority:
    return JpkiTestAuthority.create()


@pytest.fixture(scope="session")
def anchors(authority: JpkiTestAuthority, tmp_path_factory: pytest.TempPathFactory) -> TrustAnchors:
    folder = tmp_path_factory.mktemp("anchors")
    authority.write_anchors(folder)
    return load_anchors({Realm.PRODUCTION: PRODUCTION_ANCHORS, Realm.TEST: folder}, "development")


@pytest.fixture(scope="session")
def hanako(authority: JpkiTestAuthority) -> VirtualCard:
    return VirtualCard.issue(authority, DEMO_HOLDERS["hanako"], now=ISSUED)


@pytest.fixture(scope="session")
def hanako_p384(authority: JpkiTestAuthority) -> VirtualCard:
    return VirtualCard.issue(authority, DEMO_HOLDERS["hanako"], now=ISSUED, key="p384")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def crl_folder(tmp_path: Path, authority: JpkiTestAuthority) -> Path:
    authority.publish_crls(tmp_path / "crl", NOW - timedelta(hours=2))
    return tmp_path / "crl"


class LookedAt(CrlFolder):
    """A folder that is looked at before each question, as the service does when it is time."""

    def check(self, question: Question, at: datetime) -> Revocation:
        self.refresh()
        return super().check(question, at)


@pytest.fixture
def make_verifier(anchors: TrustAnchors, clock: FixedClock) -> Callable[[Path], JpkiVerifier]:
    def make(folder: Path) -> JpkiVerifier:
        return JpkiVerifier(anchors, load_profile(), LookedAt(folder, anchors, clock))

    return make


@pytest.fixture
def verifier(make_verifier: Callable[[Path], JpkiVerifier], crl_folder: Path) -> JpkiVerifier:
    return make_verifier(crl_folder)
