"""Notifications (お知らせ・緊急情報): messages, channels, deliveries."""
