"""A JPKI test authority with virtual My Number cards (試験用認証局と仮想カード). Never a real identity."""

from town_sandbox.jpki.authority import AuthorityKey, JpkiTestAuthority
from town_sandbox.jpki.cards import VirtualCard
from town_sandbox.jpki.holders import DEMO_HOLDERS, Holder
from town_sandbox.jpki.number_links import number_link_file

__all__ = ["DEMO_HOLDERS", "AuthorityKey", "Holder", "JpkiTestAuthority", "VirtualCard", "number_link_file"]
