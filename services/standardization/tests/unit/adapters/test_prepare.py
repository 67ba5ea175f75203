"""One suite over every adapter: each makes a whole record of its procedure's samples and refuses what is not whole."""

import copy
import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

import town_procedures
import town_standardization.adapters as town_adapters
from town_kit.ids import new_id
from town_kit.jp import characters
from town_standardization.adapters import Adapter, AdapterRefused, HandOver, Registry, csv_file, shipped
from town_standardization.adapters.items import Item, Misfit, fit
from town_standardization.adapters.mapping import persons

CATALOGUE = Path(town_procedures.__file__).parent / "catalogue"
ADAPTERS = shipped()
REGISTRY = Registry(ADAPTERS)


def hand_over(folder: Path, answers: dict[str, Any]) -> HandOver:
    head = yaml.safe_load((folder / "procedure.yaml").read_text(encoding="utf-8"))
    return HandOver(
        application_id=new_id(),
        reference="7K2M-Q9TX-3",
        procedure_code=head["code"],
        business_id=head["business_id"],
        adapter=head["adapter"],
        mapping=yaml.safe_load((folder / "mapping.yaml").read_text(encoding="utf-8")),
        received_at=datetime(2026, 10, 5, 1, tzinfo=UTC),
        parties=(),
        answers=answers,
    )


def samples() -> list[Any]:
    found = sorted(CATALOGUE.glob("*/samples/valid*.json"))
    assert found
    return [pytest.param(path, id=f"{path.parents[1].name}-{path.stem}") for path in found]


def read(sample: Path) -> tuple[Adapter, HandOver]:
    answers = json.loads(sample.read_text(encoding="utf-8"))["answers"]
    document = hand_over(sample.parents[1], answers)
    adapter = REGISTRY.named(document.adapter, document.business_id)
    assert adapter is not None, "a procedure folder names an adapter that is not wired"
    return adapter, document


def numbered(document: HandOver) -> dict[str, str]:
    return {pointer: f"{index:015d}" for index, pointer in enumerate(persons(document), start=1)}


def items_of(adapter: Adapter) -> list[Item]:
    return [item for group in adapter.groups for item in group.items]


@pytest.mark.parametrize("sample", samples())
def test_a_valid_application_gives_a_whole_record(sample: Path) -> None:
    adapter, document = read(sample)
    record = adapter.prepare(document, numbered(document)).values
    main, *lists = adapter.groups
    assert all(record[item.field] is not None for item in main.items if item.required)
    for group in lists:
        assert all(row[item.field] is not None for row in record[group.list] for item in group.items if item.required)
    assert set(numbered(document).values()) <= set(strings(record))


@pytest.mark.parametrize("sample", samples())
def test_a_record_holds_no_my_number(sample: Path) -> None:
    adapter, document = read(sample)
    numbers = [text for text in strings(document.answers) if len(text) == 12 and text.isdigit()]
    assert numbers
    assert not set(numbers) & set(strings(adapter.prepare(document, numbered(document)).values))


@pytest.mark.parametrize("sample", samples())
def test_the_same_application_gives_the_same_record(sample: Path) -> None:
    adapter, document = read(sample)
    once, twice = (adapter.prepare(copy.deepcopy(document), numbered(document)).values for _ in range(2))
    assert json.dumps(once, ensure_ascii=False) == json.dumps(twice, ensure_ascii=False)


@pytest.mark.parametrize("sample", samples())
def test_every_value_fits_its_item(sample: Path) -> None:
    adapter, document = read(sample)
    record = adapter.prepare(document, numbered(document)).values
    for group in adapter.groups:
        for row in record[group.list] if group.list else [record]:
            for item in group.items:
                value = row[item.field]
                assert value is None or characters.length(str(value)) <= item.digits


@pytest.mark.parametrize("sample", samples())
def test_a_person_without_addressee_number_is_refused_by_name_of_the_item(sample: Path) -> None:
    adapter, document = read(sample)
    with pytest.raises(AdapterRefused) as refused:
        adapter.prepare(document, {})
    assert any(one.field.endswith("atenabango") and one.code == "missing" for one in refused.value.wrong)


@pytest.mark.parametrize("sample", samples())
def test_a_half_width_name_is_refused_without_repeating_it(sample: Path) -> None:
    adapter, document = read(sample)
    answers = copy.deepcopy(document.answers)
    person = answers[persons(document)[0].split("/")[1]]
    person["name"] = "ｱﾅﾐｽﾞ ﾀﾛｳ"
    with pytest.raises(AdapterRefused) as refused:
        adapter.prepare(document.model_copy(update={"answers": answers}), numbered(document))
    assert [one.code for one in refused.value.wrong] == ["width"]
    assert "ｱﾅﾐｽﾞ" not in repr(refused.value.wrong)


@pytest.mark.parametrize("sample", samples())
def test_a_gaiji_is_kept_and_degraded_beside_it(sample: Path) -> None:
    adapter, document = read(sample)
    answers = copy.deepcopy(document.answers)
    name = "葛\U000e0100\U00100e92　花子"
    answers[persons(document)[0].split("/")[1]]["name"] = name
    record = adapter.prepare(document.model_copy(update={"answers": answers}), numbered(document)).values
    [field] = [item.field for item in adapter.groups[0].items if record[item.field] == name]
    assert record[field + "_shukutai"] == "葛〓　花子"
    assert record[field + "_shukutai_umu"] == "1"


@pytest.mark.parametrize("sample", samples())
def test_a_mapping_to_an_unknown_item_is_refused(sample: Path) -> None:
    adapter, document = read(sample)
    mapping = copy.deepcopy(document.mapping)
    mapping["fields"]["sonzai_shinai"] = "/remarks"
    with pytest.raises(AdapterRefused) as refused:
        adapter.prepare(document.model_copy(update={"mapping": mapping}), numbered(document))
    assert [one.code for one in refused.value.wrong] == ["unknown-field"]


@pytest.mark.parametrize("sample", samples())
def test_files_are_read_back_as_they_were_written(sample: Path) -> None:
    adapter, document = read(sample)
    record = adapter.prepare(document, numbered(document)).values
    for group in adapter.groups:
        rows = record[group.list] if group.list else [record]
        columns = list(group.by_field)
        raw = csv_file(adapter.file, columns, rows)
        assert raw.count(b"\r\n") == len(rows) + 1
        back = list(csv.DictReader(io.StringIO(raw.decode("utf-8"), newline="")))
        assert back == [{c: "" if row[c] is None else str(row[c]) for c in columns} for row in rows]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda one: one.name)
def test_no_item_is_presented_as_official(adapter: Adapter) -> None:
    assert {item.source for item in items_of(adapter)} <= {"ours", "observed"}
    assert adapter.file.source == "ours"


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda one: one.name)
def test_every_group_has_a_file_of_its_own(adapter: Adapter) -> None:
    names = [
        adapter.file.file_name(
            municipality="174611", group=group.list or "main", at=datetime(2026, 10, 5, tzinfo=UTC), serial=1
        )
        for group in adapter.groups
    ]
    assert len(set(names)) == len(names)
    assert all(name.startswith(f"174611_029_{adapter.business_id}_") for name in names)


def test_every_folder_is_an_adapter_and_nothing_lists_them() -> None:
    folders = {path.parent.name for path in Path(town_adapters.__file__).parent.glob("*/adapter.py")}
    assert {adapter.name for adapter in shipped()} == folders


def test_two_adapters_of_one_business_are_refused() -> None:
    with pytest.raises(ValueError):
        Registry([ADAPTERS[0], ADAPTERS[0]])


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("X", "あ", "width"),
        ("X", "12345", "digits"),
        ("N", "a", "width"),
        ("DATE", "2026-02-30", "date"),
        ("DATE", "20260230", "date"),
        ("9", "12a", "type"),
        ("9", 12345, "digits"),
        ("N", ["x"], "type"),
        ("XN", "a\u0000", "character"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_its_rule(kind: Any, value: Any, code: str) -> None:
    item = Item(name="項目", field="komoku", kind=kind, digits=4, source="ours")
    with pytest.raises(Misfit) as misfit:
        fit(item, value)
    assert misfit.value.code == code


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for inner in value.values() for text in strings(inner)]
    return [text for inner in value for text in strings(inner)] if isinstance(value, list) else []
