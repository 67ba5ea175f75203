"""Which authority certificates count."""

import os
import shutil
from pathlib import Path

import pytest
from cryptography import x509

from town_identity.jpki import PRODUCTION_ANCHORS, AnchorsUnusable, Purpose, Realm, TrustAnchors, load_anchors
from town_sandbox.jpki import JpkiTestAuthority
from town_sandbox.jpki.samples import NOW

SAMPLES = Path(os.environ.get("TOWN_SAMPLES", Path(__file__).parents[5] / ".." / "shared" / "data"))


def test_the_published_authorities_are_pinned_by_purpose_and_generation() -> None:
    anchors = load_anchors({Realm.PRODUCTION: PRODUCTION_ANCHORS}, "production")
    assert {(anchor.purpose, anchor.generation) for anchor in anchors.all} >= {
        (Purpose.SIGN, "2015"),
        (Purpose.SIGN, "2023"),
        (Purpose.AUTH, "2015"),
        (Purpose.AUTH, "2023"),
    }
    assert {anchor.realm for anchor in anchors.all} == {Realm.PRODUCTION}
    assert any(anchor.certificate.not_valid_after_utc > NOW for anchor in anchors.all)


def test_the_published_generations_share_one_name_and_are_told_apart_by_key() -> None:
    anchors = load_anchors({Realm.PRODUCTION: PRODUCTION_ANCHORS}, "production")
    for purpose in Purpose:
        family = [anchor for anchor in anchors.all if anchor.purpose is purpose]
        assert len({anchor.certificate.subject for anchor in family}) == 1
        assert all(anchors.signer_of(anchor.certificate) is anchor for anchor in family)


@pytest.mark.skipif(not (SAMPLES / "jpki").is_dir(), reason="no folder of samples (TOWN_SAMPLES)")
def test_the_sample_authorities_of_jlis_are_the_pinned_ones(tmp_path: Path) -> None:
    shutil.copy(PRODUCTION_ANCHORS / "pins.yaml", tmp_path)
    for file in (SAMPLES / "jpki").glob("*.pem"):
        shutil.copy(file, tmp_path)
    assert len(load_anchors({Realm.PRODUCTION: tmp_path}, "production").all) == 4


def test_test_anchors_are_refused_in_production(tmp_path: Path, authority: JpkiTestAuthority) -> None:
    authority.write_anchors(tmp_path)
    with pytest.raises(AnchorsUnusable, match="test anchors"):
        load_anchors({Realm.PRODUCTION: PRODUCTION_ANCHORS, Realm.TEST: tmp_path}, "production")


def test_a_certificate_that_is_not_pinned_is_refused(tmp_path: Path, authority: JpkiTestAuthority) -> None:
    authority.write_anchors(tmp_path)
    shutil.copy(PRODUCTION_ANCHORS / "sign_ca_2023.pem", tmp_path)
    with pytest.raises(AnchorsUnusable, match="not pinned"):
        load_anchors({Realm.TEST: tmp_path}, "development")


@pytest.mark.parametrize("content", ["", "anchors: 5", "anchors: [{}]", "\t"])
def test_an_unreadable_pin_list_is_refused(tmp_path: Path, content: str, authority: JpkiTestAuthority) -> None:
    authority.write_anchors(tmp_path)
    (tmp_path / "pins.yaml").write_text(content)
    with pytest.raises(AnchorsUnusable):
        load_anchors({Realm.TEST: tmp_path}, "development")


def test_a_folder_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pins.yaml").write_text("anchors: []")
    with pytest.raises(AnchorsUnusable, match="no trust anchor"):
        load_anchors({Realm.TEST: tmp_path}, "development")


@pytest.mark.skipif(not (SAMPLES / "jpki").is_dir(), reason="no folder of samples (TOWN_SAMPLES)")
def test_sample_certificates_without_the_profile_are_nobodys(anchors: TrustAnchors) -> None:
    for file in (SAMPLES / "jpki").glob("synthetic-*.der"):
        assert anchors.signer_of(x509.load_der_x509_certificate(file.read_bytes())) is None
