"""Where a word of the field lives: ``make where TERM=申請``; an English noun or a reading works too."""

import sys
import tomllib
from pathlib import Path


def find(root: Path, word: str) -> list[dict[str, str]]:
    """The terms of ``contracts/glossary.toml`` that contain the word in any of their names."""
    terms = tomllib.loads((root / "contracts" / "glossary.toml").read_text(encoding="utf-8"))["term"]
    wanted = word.casefold()
    return [
        term
        for term in terms
        if any(wanted in str(term.get(key, "")).casefold() for key in ("term", "reading", "english"))
    ]


def main() -> int:
    """Print path, word and law of each term found; 1 when there is none."""
    found = find(Path(), sys.argv[1])
    for term in found:
        print(f"{term['path']}  {term['term']}（{term['reading']}）{term['english']}  {term.get('law', '')}".rstrip())
    if not found:
        print(f"{sys.argv[1]} does not stand in contracts/glossary.toml", file=sys.stderr)
    return not found


if __name__ == "__main__":
    sys.exit(main())
