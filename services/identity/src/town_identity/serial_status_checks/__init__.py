"""失効確認 — whether a certificate that was used before was good at that moment; settles what waited."""
