"""The real kernel as a judge, where it lets us: the mark for tests that need it."""

from __future__ import annotations

import pytest

from drybpf.kernel import objection

_OBJECTION = objection()
needs_kernel = pytest.mark.skipif(_OBJECTION is not None, reason=_OBJECTION or "it can")
