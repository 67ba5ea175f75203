"""A million applications as if they had been handled one by one, written in bulk into every database they touch.

``prelude.sql`` says what the n-th application is, one file for each database what stands of it there.
"""

from tests.load.stored.filling import Amount, fill

__all__ = ["Amount", "fill"]
