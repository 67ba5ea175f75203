"""アプリ向け API — what one app needs, put together from the services behind the gateway."""
