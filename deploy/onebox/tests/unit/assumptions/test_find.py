"""Whatever a profile says of somebody else's system has a source, and so does a marked value anywhere."""

from pathlib import Path

from town_onebox.assumptions import find

ROOT = Path(__file__).parents[5]


def profile(root: Path, text: str) -> Path:
    folder = root / "services" / "somewhere" / "src" / "town_somewhere" / "profiles"
    folder.mkdir(parents=True)
    (folder / "production.yaml").write_text(text)
    return root


def test_nothing_in_this_tree_is_unmarked() -> None:
    found = find(ROOT)
    assert found
    assert [each for each in found if each.source is None] == []


def test_a_value_of_a_profile_without_a_mark_is_found(tmp_path: Path) -> None:
    found = find(profile(tmp_path, "name: x\npath: /api\nfield: {header: a, source: ours}\n"))
    assert [(each.place, each.source) for each in found] == [("/path", None), ("/field", "ours")]


def test_a_mark_that_is_none_of_the_three_is_no_mark(tmp_path: Path) -> None:
    found = find(profile(tmp_path, "field: {header: a, source: somebody}\n"))
    assert None in {each.source for each in found}


def test_a_mark_covers_what_stands_below_it(tmp_path: Path) -> None:
    found = find(profile(tmp_path, "call:\n  source: official\n  path: /x\n  query: {a: b, c: d}\n"))
    assert {each.source for each in found} == {"official"}
    assert len(found) == 3
