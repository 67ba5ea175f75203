"""ぴったりサービス and its 申請管理 side, simulated: every path, name and code is invented here (``source: ours``)."""
