"""封印アカウント — sealed staff accounts: made beforehand, kept in envelopes, used while the staff directory is away.

*Sealed* means the envelope here, not encryption. One envelope holds user name and password, the other the secret of the
second factor; they are kept in two places. Who opens them says what for, and it is looked at afterwards.
"""
