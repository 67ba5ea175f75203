"""マイナポータル接続 — the connector to ぴったりサービス: fetches applications, tells their status, hears "poll now".

``webhooks`` runs in the gateway (INTERNET); everything else runs in the role ``connect`` (LGWAN) with a database of
its own. The two meet only through the event ``town.gateway.portal-poll.requested.v1``.
"""
