"""手続 — the procedures a resident can apply for, as the catalogue's folders describe them."""
