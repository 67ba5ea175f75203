"""A PDF that acts or carries files is found however it is written; a harmless one passes, packed or not."""

import io
import re
import zlib
from collections.abc import Callable

import pikepdf
import pytest
from pikepdf import Dictionary, Name, ObjectStreamMode, Pdf

from town_kit.pdf import UNPACKED_LIMIT, inspect_pdf
from town_kit.problems import DocumentUnsafe


def a_pdf(change: Callable[[Pdf], None] = lambda _: None, *, packed: bool = False) -> bytes:
    """A PDF of one page, written by another program than ours."""
    made, file = Pdf.new(), io.BytesIO()
    made.add_blank_page()
    made.docinfo["/Title"] = "課税証明書"
    change(made)
    mode = ObjectStreamMode.generate if packed else ObjectStreamMode.disable
    made.save(file, object_stream_mode=mode, static_id=True)
    return file.getvalue()


def script() -> Dictionary:
    return Dictionary(S=Name.JavaScript, JS="app.alert(1)")


def on_opening(pdf: Pdf) -> None:
    pdf.Root.OpenAction = pdf.make_indirect(script())


def on_a_page(pdf: Pdf) -> None:
    pdf.pages[0].AA = Dictionary(O=pdf.make_indirect(script()))


def a_file(pdf: Pdf) -> None:
    pdf.attachments["x.exe"] = b"MZ"


def a_launch(pdf: Pdf) -> None:
    pdf.Root.OpenAction = pdf.make_indirect(Dictionary(S=Name.Launch, F="cmd.exe"))


def a_form_of_its_own(pdf: Pdf) -> None:
    pdf.Root.AcroForm = pdf.make_indirect(Dictionary(XFA=pdf.make_stream(b"<xdp/>")))


def refused(content: bytes) -> bool:
    try:
        inspect_pdf(content)
    except DocumentUnsafe:
        return True
    return False


@pytest.mark.parametrize("packed", [False, True], ids=["open", "in object streams"])
def test_a_harmless_pdf_passes(packed: bool) -> None:
    content = a_pdf(packed=packed)
    assert (b"/ObjStm" in content) is packed
    assert not refused(content)


@pytest.mark.case("D-16")
@pytest.mark.parametrize("packed", [False, True], ids=["open", "in object streams"])
@pytest.mark.parametrize("change", [on_opening, on_a_page, a_file, a_launch, a_form_of_its_own])
def test_what_acts_or_carries_files_is_refused(change: Callable[[Pdf], None], packed: bool) -> None:
    content = a_pdf(change, packed=packed)
    if packed:
        assert not re.search(rb"/(JavaScript|EmbeddedFile\b|Launch)", content) or change is a_file
    assert refused(content)


@pytest.mark.case("D-16")
@pytest.mark.parametrize("packed", [False, True])
def test_a_locked_pdf_is_refused_wherever_it_says_so(packed: bool) -> None:
    file = io.BytesIO()
    with pikepdf.open(io.BytesIO(a_pdf(packed=packed))) as made:
        made.save(file, encryption=pikepdf.Encryption(owner="o", user=""), linearize=True)
    assert refused(file.getvalue())


def stream(header: bytes, packed: bytes) -> bytes:
    return b"%PDF-1.7\n1 0 obj\n<<" + header + b">>\nstream\n" + packed + b"\nendstream\nendobj\n%%EOF\n"


HIDDEN = b"7 0 << /S /JavaScript /JS (x) >>"
FLATE = zlib.compress(HIDDEN)


@pytest.mark.case("D-16")
@pytest.mark.parametrize(
    ("header", "packed"),
    [
        (b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode", FLATE),
        (b"/Type/ObjStm/N 1/First 4/Filter[/FlateDecode]", FLATE),
        (b"/Type /Obj#53tm /N 1 /First 4 /Fil#74er /FlateDecode", FLATE),
        (b"/Type /Obj#53tm /N 1 /First 4", HIDDEN),
        (b"/N 1 /First 4 /Filter /FlateDecode", FLATE),
        (b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode", FLATE[:-4]),
        (b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode", zlib.compress(HIDDEN.replace(b"Java", b"#4aava"))),
        (b"/Type /ObjStm /N 1 /First 4 /Filter [/ASCIIHexDecode /FlateDecode]", FLATE.hex().encode()),
        (b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode /DecodeParms 9 0 R", FLATE),
        (b"/Type /ObjStm /N 1 /First 4 /Filter 9 0 R", FLATE),
        (b"/Type /ObjStm /X (obj) /N 1 /First 4 /Filter /FlateDecode", FLATE),
        (b"/Type /ObjStm /X << >> /N 1 /First 4 /Filter /FlateDecode", FLATE),
    ],
)
def test_a_script_in_an_object_stream_is_refused_however_it_is_packed(header: bytes, packed: bytes) -> None:
    assert not refused(stream(b"/Length 3", b"abc"))
    assert refused(stream(header, packed))


def test_an_object_stream_that_unpacks_to_too_much_is_refused_early() -> None:
    bomb = zlib.compress(bytes(UNPACKED_LIMIT + 1), 9)
    with pytest.raises(DocumentUnsafe) as told:
        inspect_pdf(stream(b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode", bomb))
    assert "大きすぎます" in (told.value.detail or "")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", [b"1 0 obj<<", b"/a#", b"stream\n", b"/Encrypt ", b"obj   ", b"<<>>stream\n", b"9"])
def test_ten_megabytes_of_anything_take_no_more_than_their_length(unit: bytes) -> None:
    refused(b"%PDF-1.7\n" + unit * (10_000_000 // len(unit)) + b"%%EOF")
