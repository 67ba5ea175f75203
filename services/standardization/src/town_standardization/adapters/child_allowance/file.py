"""The files of 児童手当."""

from pathlib import Path

from town_standardization.adapters.files import load_layout

LAYOUT = load_layout(Path(__file__).with_name("file.yaml"))
