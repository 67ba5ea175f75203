"""Identity (公的個人認証・本人確認): JPKI verification, persons, sessions and tokens."""
