"""開発者・住民への入口 — the first page: the journey of one application live, what is real, tokens to try, the API."""
