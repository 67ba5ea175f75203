"""起案 with what it proposes, the clock of the processing period, and what a law allows at most; notes nobody wrote go.

Applications that are open keep the day they were promised; whether two people decide is copied from the folder when an
application is filed, so those filed before are decided as they were.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

COLUMNS = {
    "two_person_decision": "boolean NOT NULL DEFAULT false",
    "drafted_decision": "text CHECK (drafted_decision IN ('approved', 'rejected'))",
    "drafted_reason_code": "text",
    "due_at_latest": "date",
    "clock_stopped_on": "date",
}


def upgrade() -> None:
    """Add the columns, and drop the note."""
    for name, kind in COLUMNS.items():
        op.execute(f"ALTER TABLE applications ADD COLUMN {name} {kind}")
    op.execute("ALTER TABLE application_transitions DROP COLUMN note")


def downgrade() -> None:
    """Take them away, and make room for a note again."""
    op.execute("ALTER TABLE application_transitions ADD COLUMN note text")
    for name in COLUMNS:
        op.execute(f"ALTER TABLE applications DROP COLUMN {name}")
