"""Keys of stored My Numbers may be wrapped anew; nothing else of such a row ever changes."""

from alembic import op

from town_kit.db.migrations import grant

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Let the service change the wrapped key."""
    grant(op, "my_numbers", "UPDATE (wrapped_key)")


def downgrade() -> None:
    """Take that back."""
    op.execute(
        """DO $$ BEGIN EXECUTE format('REVOKE UPDATE (wrapped_key) ON my_numbers FROM %I',
                regexp_replace(current_user, '_owner$', '_app')); END $$"""
    )
