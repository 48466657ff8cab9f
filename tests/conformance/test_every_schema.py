"""The part of the conformance suite about schemas, run for every connector of the catalogue."""

from __future__ import annotations

import pytest

from connectors.suite.schemas import *  # noqa: F403 - the tests of the suite, whatever they are

pytestmark = pytest.mark.integration
