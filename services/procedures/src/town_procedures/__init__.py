"""Procedures (行政手続・申請管理): catalogue, applications, decisions."""
