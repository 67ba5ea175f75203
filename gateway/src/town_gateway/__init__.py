"""API gateway (API ゲートウェイ): routing, token check, limits, app-facing APIs, webhooks."""
