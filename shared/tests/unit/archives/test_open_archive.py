"""What a sender may try with an archive, a table, a document."""

import io
import os
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest

from town_kit.archives import PIECE, Limits, inspect_document, open_archive, sniff
from town_kit.problems import ArchiveUnsafe, DocumentUnsafe
from town_kit.testing.files import nothing_on_disk

PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n%%EOF\n"
ZEROS = 50 * 1024 * 1024


def archive(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        for name, content in members:
            made.writestr(name, content)
    return buffer


def refused(file: io.BytesIO, limits: Limits | None = None) -> str:
    with pytest.raises(ArchiveUnsafe) as raised, open_archive(file, limits):
        pytest.fail("the archive was opened")
    return raised.value.detail or ""


def test_a_good_archive_gives_its_members_with_what_they_really_are() -> None:
    file = archive(("申請書.pdf", PDF), ("data/申請.csv", "氏名,住所\n穴水,町\n".encode("cp932")), ("a.xml", b"<a/>"))
    with open_archive(file) as opened:
        assert {name: member.media_type for name, member in opened.members.items()} == {
            "申請書.pdf": "application/pdf",
            "data/申請.csv": "text/csv",
            "a.xml": "application/xml",
        }
        assert opened.read("申請書.pdf") == PDF
        assert b"".join(opened.pieces("a.xml")) == b"<a/>"
        with pytest.raises(KeyError):
            opened.read("other")


def test_a_name_without_the_utf8_flag_is_read_as_cp932() -> None:
    raw = archive(("xxxxxx.csv", b"a,b\n")).getvalue().replace(b"xxxxxx.csv", "申請書.csv".encode("cp932"))
    with open_archive(io.BytesIO(raw)) as opened:
        assert list(opened.members) == ["申請書.csv"]


@pytest.mark.case("D-13")
def test_a_bomb_is_refused_within_a_piece_of_the_limit_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    file = archive(("zeros.csv", b"\0" * ZEROS))
    assert len(file.getvalue()) < 60_000
    written, on_disk = 0, 0
    write, rollover = tempfile.SpooledTemporaryFile.write, tempfile.SpooledTemporaryFile.rollover

    def counting(self: object, piece: bytes) -> int:
        nonlocal written
        written += len(piece)
        return write(self, piece)

    def rolling(self: object) -> None:
        nonlocal on_disk
        on_disk += 1
        rollover(self)

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "write", counting)
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rolling)
    with nothing_on_disk():
        assert "圧縮率" in refused(file)
    assert written <= Limits().ratio * len(file.getvalue()) + PIECE
    assert on_disk == 1, "it never came to the disk, so nothing could be left there"


def test_what_stays_in_the_folder_for_temporary_files_is_seen() -> None:
    with pytest.raises(AssertionError, match="left behind"), nothing_on_disk() as folder:
        (folder / "forgotten").write_bytes(b"x")
    with tempfile.TemporaryFile() as usual:
        assert usual.fileno()
        with pytest.raises(AssertionError, match="left behind"), nothing_on_disk():
            held = tempfile.TemporaryFile()  # noqa: SIM115 - held open on purpose
        held.close()


@pytest.mark.case("D-13")
def test_sizes_are_counted_and_not_believed() -> None:
    raw = bytearray(archive(("a.csv", b"a,b\n" * 50_000)).getvalue())
    central = raw.rindex(b"PK\x01\x02")
    raw[central + 24 : central + 28] = struct.pack("<I", 10)
    with pytest.raises(ArchiveUnsafe), open_archive(io.BytesIO(bytes(raw))) as opened:
        pytest.fail(f"opened with {opened.members}")


def below(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.case("D-14")
@pytest.mark.parametrize(
    "name",
    ["../../x", "{here}/x", "a/../../../x", "..\\..\\x", "C:\\x", "C:x", "a\nb", "x" * 300, "\\\\host\\share"],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever folder it is opened in, nothing is written there, above it, or at the place it names."""
    work = tmp_path / "a" / "b"
    work.mkdir(parents=True)
    (tmp_path / "x").write_bytes(b"was there before")
    monkeypatch.chdir(work)
    with nothing_on_disk():
        assert "ファイル名" in refused(archive((name.format(here=tmp_path), b"a,b\n")))
    assert below(tmp_path) == {"x": b"was there before"}


@pytest.mark.case("D-14")
def test_a_good_name_is_not_written_under_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with nothing_on_disk(), open_archive(archive(("a/b.csv", b"a,b\n"))) as opened:
        assert opened.read("a/b.csv") == b"a,b\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.case("D-14")
def test_a_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
    assert "リンク" in refused(buffer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.case("D-13")
@pytest.mark.parametrize("said", ["application/pdf", "image/png"])
def test_an_archive_under_another_name_is_refused_unopened(said: str) -> None:
    for content in (archive(("zeros.csv", b"\0" * ZEROS)).getvalue(), b"\x1f\x8b\x08\x00rest"):
        with nothing_on_disk(), pytest.raises(ArchiveUnsafe):
            inspect_document(io.BytesIO(content), said)


def test_two_files_of_one_name_are_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        file = archive(("a.csv", b"a\n"), ("a.csv", b"b\n"))
    assert "同じ名前" in refused(file)
    assert "同じ名前" in refused(archive(("a.csv", b"a\n"), ("A.CSV", b"b\n")))


def test_an_archive_in_an_archive_is_refused() -> None:
    assert "ZIPの中" in refused(archive(("inner.csv", archive(("a.csv", b"a\n")).getvalue())))
    assert "ZIPの中" in refused(archive(("inner.pdf", b"\x1f\x8b\x08\x00rest")))


def test_more_than_the_limits_is_refused() -> None:
    noise = os.urandom(3000)
    assert "大きすぎ" in refused(archive(("a", noise)), Limits(each=2000))
    assert "大きすぎ" in refused(archive(("a", noise), ("b", noise)), Limits(total=5000))
    assert "ファイルの数" in refused(archive(*((str(n), b"a\n") for n in range(11))), Limits(entries=10))


def test_what_is_damaged_or_no_archive_is_refused() -> None:
    whole = archive(("a.csv", b"a,b\n" * 100)).getvalue()
    for broken in (b"", b"PK", b"no archive", whole[:-10], whole[:40] + b"\xff" * 10 + whole[50:]):
        assert refused(io.BytesIO(broken))


def test_something_before_the_first_member_is_refused() -> None:
    assert "構造" in refused(io.BytesIO(b"%PDF-1.7\n" + archive(("a.csv", b"a\n")).getvalue()))


def test_members_that_share_bytes_are_refused() -> None:
    raw = archive(("a.csv", b"a,b\n"), ("b.csv", b"c,d\n"), compression=zipfile.ZIP_STORED).getvalue()
    second = raw.rindex(b"PK\x01\x02")
    shared = raw[: second + 42] + struct.pack("<I", 0) + raw[second + 46 :]
    assert refused(io.BytesIO(shared))


def test_an_encrypted_member_is_refused() -> None:
    raw = bytearray(archive(("a.csv", b"a,b\n")).getvalue())
    central = raw.rindex(b"PK\x01\x02")
    raw[central + 8] |= 1
    assert "パスワード" in refused(io.BytesIO(bytes(raw)))


def test_a_type_is_found_by_looking() -> None:
    assert sniff(PDF) == "application/pdf"
    assert sniff(b"\xff\xd8\xff\xe0") == "image/jpeg"
    assert sniff(b"\x89PNG\r\n\x1a\n") == "image/png"
    assert sniff(b'\xef\xbb\xbf<?xml version="1.0"?>') == "application/xml"
    assert sniff(b' {"a":1}') == "application/json"
    assert sniff("氏名,住所".encode("cp932")) == "text/csv"
    assert sniff(b"MZ\x90\x00\x03") is None
    assert sniff(b"") is None


def test_a_document_of_another_type_than_said_is_refused() -> None:
    inspect_document(io.BytesIO(PDF), "application/pdf")
    with pytest.raises(DocumentUnsafe, match="document-unsafe"):
        inspect_document(io.BytesIO(b"<script>alert(1)</script>"), "image/png")


@pytest.mark.parametrize(
    "content",
    [
        PDF.replace(b"/Type /Catalog", b"/OpenAction << /S /JavaScript /JS (app.alert(1)) >>"),
        PDF.replace(b"/Type /Catalog", b"/S /Java#53cript"),
        PDF.replace(b"/Type /Catalog", b"/S /Launch"),
        PDF.replace(b"/Type /Catalog", b"/Names << /EmbeddedFiles 3 0 R >>"),
        PDF.replace(b"trailer", b"trailer << /Encrypt 5 0 R >>"),
        PDF.replace(b"%%EOF", b""),
    ],
)
def test_a_pdf_that_acts_carries_files_or_is_locked_is_refused(content: bytes) -> None:
    with pytest.raises(DocumentUnsafe):
        inspect_document(io.BytesIO(content), "application/pdf")


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b"<!doctype a><a/>",
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a><a/>'.encode("utf-16"),
    ],
)
def test_xml_that_declares_is_refused(content: bytes) -> None:
    with pytest.raises(DocumentUnsafe):
        inspect_document(io.BytesIO(content), "application/xml")
