"""${message}"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
# Revisions are numbered (--rev-id 0002): /readyz compares them with what its release needs.
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Add only: the former release goes on with this schema during the deploy."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Undo it."""
    ${downgrades if downgrades else "pass"}
