"""未達 — messages no channel brought, on the day's letter list (郵送) or phone list (電話), until staff handle them."""
