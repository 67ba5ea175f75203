"""The directory that signs staff in (職員認証): an OpenID Connect provider."""
