"""Images and networks come from tests/fixtures."""

from drawn_images import draw
from rated_study import one_thread

__all__ = ["draw", "one_thread"]
