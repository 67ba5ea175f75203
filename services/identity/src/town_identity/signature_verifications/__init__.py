"""署名検証 — the verdict on a signature made with a My Number card (公的個人認証法17条: 署名検証者)."""
