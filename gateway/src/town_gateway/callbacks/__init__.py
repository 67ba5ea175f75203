"""通知先 — callbacks: where a partner's system is told how the applications filed through its app go on.

Standard Webhooks, outward: signed, a stable id, ten tries over 75 hours 35 minutes, then kept for an operator.
"""
