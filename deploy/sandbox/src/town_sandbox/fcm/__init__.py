"""Firebase Cloud Messaging as its HTTP v1 API is documented: tokens for a service account, sends, its error shapes."""
