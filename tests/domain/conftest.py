"""Profiles for tests that draw their cases.

`HYPOTHESIS_PROFILE=thorough pytest tests/domain` looks for hours where the default looks for
seconds.
"""

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.domain.laws", "tests.domain.documents")

settings.register_profile(
    "thorough", max_examples=20_000, stateful_step_count=80, deadline=None, print_blob=True
)

if profile := os.environ.get("HYPOTHESIS_PROFILE"):
    settings.load_profile(profile)
