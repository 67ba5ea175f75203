"""ログインの問い — what a card signs to log in; bound to one app, short-lived, redeemed once."""

from town_identity.login_challenges.domain import to_be_signed
from town_identity.login_challenges.service import RedeemedChallenge, delete_expired, redeem

__all__ = ["RedeemedChallenge", "delete_expired", "redeem", "to_be_signed"]
