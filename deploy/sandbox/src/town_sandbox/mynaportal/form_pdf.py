"""The form as a PDF, as the portal hands one over: plain pages of label and value, in a font every viewer has."""

from collections.abc import Sequence

LINES_PER_PAGE = 46
_FONT = (
    (b"<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiKakuGo-W5 /Encoding /UniJIS-UCS2-H /DescendantFonts [4 0 R] >>"),
    (
        b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HeiseiKakuGo-W5 /FontDescriptor << /Type /FontDescriptor "
        b"/FontName /HeiseiKakuGo-W5 /Flags 4 /FontBBox [-92 -250 1010 922] /ItalicAngle 0 /Ascent 752 /Descent -221 "
        b"/CapHeight 737 /StemV 114 >> /CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1) /Supplement 2 >> >>"
    ),
)


def form_pdf(title: str, lines: Sequence[str]) -> bytes:
    """A PDF 1.5 of A4 pages. Japanese stands in it as UTF-16 with a named, not embedded, CID font."""
    pages = [lines[i : i + LINES_PER_PAGE] for i in range(0, len(lines), LINES_PER_PAGE)] or [[]]
    kids = " ".join(f"{5 + 2 * i} 0 R" for i in range(len(pages)))
    tree = f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode()
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", tree, *_FONT]
    for number, page in enumerate(pages):
        content = _content(title, page)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {6 + 2 * number} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    return _assemble(objects)


def _content(title: str, lines: Sequence[str]) -> bytes:
    shown = [f"BT /F1 14 Tf 50 790 Td <{_hex(title)}> Tj ET"]
    shown += [f"BT /F1 10 Tf 50 {765 - 16 * row} Td <{_hex(line)}> Tj ET" for row, line in enumerate(lines)]
    return "\n".join(shown).encode("ascii")


def _hex(text: str) -> str:
    return "".join(c if ord(c) < 0x10000 else "〓" for c in text).encode("utf-16-be").hex()


def _assemble(objects: Sequence[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)
